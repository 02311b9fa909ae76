"""A folder of configuration of a user's own, which allows what it names."""


def own_conf(folder, target):
    """Allow one target for whoever is given ``--config-dir folder``."""
    (folder / "callbacks").mkdir(parents=True)
    (folder / "callbacks" / "own.yaml").write_text(f"own:\n  _target_: {target}\n")

"""The table of `nas-lightning devices`."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table


def print_devices(cards: Sequence[Any]) -> None:
    """Print the device cards: memories, clock, core, NPU; below, where the values of each are from."""
    columns = ("device", "core", "MHz", "flash KB", "RAM KB", "NPU", "NPU rules")
    table = Table(*(Column(name, no_wrap=True) for name in columns))
    console = Console()
    for card in cards:
        memories = ["-" if size is None else f"{size / 1024:,.0f}" for size in (card.flash_bytes, card.ram_bytes)]
        clock = "-" if card.clock_mhz is None else f"{card.clock_mhz:g}"
        table.add_row(escape(card.name), card.core or "-", clock, *memories, card.npu or "-", card.npu_profile or "-")
    console.print(table)
    for card in cards:
        text = ". ".join(part for part in (card.source, card.note) if part)
        if text:
            console.print(f"{card.name}: {text}", soft_wrap=True, highlight=False, markup=False)

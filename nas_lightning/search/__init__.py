"""How it is found: relaxation, architecture step, penalties, and the LightningModule that runs them."""

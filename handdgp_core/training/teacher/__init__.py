"""Training of the `open` model's network: the corrections of a hand that was fitted to landmarks."""

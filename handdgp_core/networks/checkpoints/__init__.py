"""Networks' files: this project's own, the published one, the refiner's."""

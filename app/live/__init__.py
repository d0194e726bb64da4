"""The live pipeline and the controller that owns it: state, workers, results. No widgets."""

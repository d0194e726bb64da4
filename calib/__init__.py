"""Camera calibration and hand size, without Qt: boards, detection, solve, quality, guidance, profiles."""

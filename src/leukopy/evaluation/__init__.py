"""Arrays in, numbers out: classification, calibration, intervals, the differential count."""

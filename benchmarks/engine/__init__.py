"""The job engine by itself: beside other queues, and with a million jobs. ``make bench-engine``."""

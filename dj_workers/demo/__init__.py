"""The demonstration: photographs, a pipeline that finds blobs in them, workers that compute it, a report."""

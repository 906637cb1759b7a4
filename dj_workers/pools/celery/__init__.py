"""Jobs for Celery's workers: a message wakes one up, the database says who owns a job."""

"""The SQL of the floor, which PostgreSQL and MySQL mostly share."""

from __future__ import annotations

SOURCE = """
CREATE TABLE source (
    source_id integer NOT NULL PRIMARY KEY,
    x double precision NOT NULL,
    label varchar(32) NOT NULL,
    when_added {datetime} NOT NULL
)
"""
DERIVED = """
CREATE TABLE derived (
    source_id integer NOT NULL PRIMARY KEY,
    y double precision NOT NULL,
    FOREIGN KEY (source_id) REFERENCES source (source_id) ON UPDATE CASCADE ON DELETE RESTRICT
)
"""
JOBS = """
CREATE TABLE jobs (
    source_id integer NOT NULL PRIMARY KEY,
    status varchar(10) NOT NULL DEFAULT 'pending',
    priority smallint NOT NULL DEFAULT 5,
    created_time {microseconds} NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    scheduled_time {microseconds} NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    reserved_time {microseconds} NULL,
    token bigint NULL
)
"""
JOBS_INDEX = "CREATE INDEX jobs_next ON jobs (status, priority, scheduled_time)"
RAW = "CREATE TABLE raw (raw_id integer NOT NULL PRIMARY KEY, signal_bytes {blob} NOT NULL)"
MEAN = """
CREATE TABLE mean (
    raw_id integer NOT NULL PRIMARY KEY,
    mean double precision NOT NULL,
    FOREIGN KEY (raw_id) REFERENCES raw (raw_id) ON UPDATE CASCADE ON DELETE RESTRICT
)
"""

INSERT_SOURCE = "INSERT INTO source (source_id, x, label, when_added) VALUES (%s, %s, %s, %s)"
SELECT_SOURCE = "SELECT source_id, x, label, when_added FROM source"
SELECT_KEYS = "SELECT source_id FROM source"
SELECT_X = "SELECT x FROM source WHERE source_id = %s"
INSERT_DERIVED = "INSERT INTO derived (source_id, y) VALUES (%s, %s)"
COUNT_DERIVED = "SELECT count(*) FROM derived"
COUNT_JOBS = "SELECT count(*) FROM jobs"
DROP_STALE_JOBS = """
DELETE FROM jobs WHERE status = 'pending'
AND NOT EXISTS (SELECT 1 FROM source WHERE source.source_id = jobs.source_id)
"""
ADD_JOBS = """
INSERT INTO jobs (source_id)
SELECT source_id FROM source
WHERE NOT EXISTS (SELECT 1 FROM derived WHERE derived.source_id = source.source_id)
AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.source_id = source.source_id)
"""
COUNT_BY_STATUS = "SELECT status, count(*) FROM jobs GROUP BY status"
NEXT_JOB = """
SELECT source_id FROM jobs WHERE status = 'pending' AND scheduled_time <= CURRENT_TIMESTAMP(6)
ORDER BY priority, scheduled_time LIMIT 1 FOR UPDATE SKIP LOCKED
"""
RESERVE = """
UPDATE jobs SET status = 'reserved', token = %s, reserved_time = CURRENT_TIMESTAMP(6) WHERE source_id = %s
"""
RESERVE_NEXT = f"""
UPDATE jobs SET status = 'reserved', token = %s, reserved_time = CURRENT_TIMESTAMP(6)
WHERE source_id = ({NEXT_JOB}) RETURNING source_id
"""
FINISH_JOB = "DELETE FROM jobs WHERE source_id = %s AND token = %s"
INSERT_RAW = "INSERT INTO raw (raw_id, signal_bytes) VALUES (%s, %s)"
SELECT_SIGNAL = "SELECT signal_bytes FROM raw WHERE raw_id = %s"
INSERT_MEAN = "INSERT INTO mean (raw_id, mean) VALUES (%s, %s)"

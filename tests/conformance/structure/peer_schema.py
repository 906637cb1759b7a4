"""Statements that make a schema as datajoint 2.3.5 makes it, foreign-key columns without types among it."""

from __future__ import annotations

POSTGRES = """
CREATE SCHEMA {s};
CREATE TABLE {s}."~lineage" (table_name varchar(64) NOT NULL, attribute_name varchar(64) NOT NULL,
  lineage varchar(255) NOT NULL, PRIMARY KEY (table_name, attribute_name));
CREATE TYPE {s}.enum_52102d8e AS ENUM ('x','y');
CREATE TABLE {s}.parent (parent_id integer NOT NULL, ident uuid NOT NULL, ok boolean NOT NULL DEFAULT true,
  PRIMARY KEY (parent_id));
COMMENT ON TABLE {s}.parent IS 'the parent';
COMMENT ON COLUMN {s}.parent.parent_id IS ':int32:pid';
COMMENT ON COLUMN {s}.parent.ident IS ':uuid:';
COMMENT ON COLUMN {s}.parent.ok IS ':bool:fine';
CREATE TABLE {s}."#kind" (kind {s}.enum_52102d8e NOT NULL, size smallint NOT NULL, PRIMARY KEY (kind, size));
COMMENT ON COLUMN {s}."#kind".kind IS ':enum(''x'', ''y''):which';
COMMENT ON COLUMN {s}."#kind".size IS ':int8:';
CREATE TABLE {s}."__comp" (parent_id integer NOT NULL,
  kind {s}.enum_52102d8e NOT NULL,
  size smallint NOT NULL,
  mother integer DEFAULT NULL, data bytea NOT NULL, score numeric(5,2) DEFAULT NULL::numeric,
  at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), name varchar(20) NOT NULL DEFAULT 'it''s',
  n integer NOT NULL,
  PRIMARY KEY (parent_id, kind, size),
  FOREIGN KEY (parent_id) REFERENCES {s}.parent(parent_id) ON UPDATE CASCADE ON DELETE RESTRICT,
  FOREIGN KEY (kind, size) REFERENCES {s}."#kind"(kind, size) ON UPDATE CASCADE ON DELETE RESTRICT,
  FOREIGN KEY (mother) REFERENCES {s}.parent(parent_id) ON UPDATE CASCADE ON DELETE RESTRICT);
COMMENT ON COLUMN {s}."__comp".data IS ':<blob>:';
COMMENT ON COLUMN {s}."__comp".score IS ':decimal(5, 2):';
COMMENT ON COLUMN {s}."__comp".at IS ':datetime(3):';
COMMENT ON COLUMN {s}."__comp".name IS ':varchar(20):';
CREATE INDEX "idx___comp_kind_size" ON {s}."__comp" (kind, size);
CREATE UNIQUE INDEX "idx___comp_mother" ON {s}."__comp" (mother);
CREATE TABLE {s}.master__part_one (parent_id integer NOT NULL, i smallint NOT NULL,
  PRIMARY KEY (parent_id, i));
CREATE TABLE {s}.parent__piece (parent_id integer NOT NULL, i smallint NOT NULL, PRIMARY KEY (parent_id, i),
  FOREIGN KEY (parent_id) REFERENCES {s}.parent(parent_id) ON UPDATE CASCADE ON DELETE RESTRICT);
COMMENT ON COLUMN {s}.parent__piece.i IS ':int16:';
CREATE TABLE {s}."~~comp" (parent_id integer NOT NULL, PRIMARY KEY (parent_id));
"""

MYSQL = """
CREATE DATABASE {s};
CREATE TABLE {s}.`~lineage` (table_name varchar(64) NOT NULL, attribute_name varchar(64) NOT NULL,
  lineage varchar(255) NOT NULL, PRIMARY KEY (table_name, attribute_name));
CREATE TABLE {s}.parent (parent_id int NOT NULL COMMENT ':int32:pid',
  ident binary(16) NOT NULL COMMENT ':uuid:',
  ok tinyint NOT NULL DEFAULT '1' COMMENT ':bool:fine', PRIMARY KEY (parent_id)) COMMENT='the parent';
CREATE TABLE {s}.`#kind` (kind enum('x','y') NOT NULL COMMENT ':enum(''x'', ''y''):which',
  size tinyint NOT NULL COMMENT ':int8:', PRIMARY KEY (kind, size));
CREATE TABLE {s}.`__comp` (parent_id int NOT NULL COMMENT 'pid', kind enum('x','y') NOT NULL COMMENT 'which',
  size tinyint NOT NULL, mother int DEFAULT NULL COMMENT 'pid', data longblob NOT NULL COMMENT ':<blob>:',
  score decimal(5,2) DEFAULT NULL COMMENT ':decimal(5, 2):',
  at datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT ':datetime(3):',
  name varchar(20) NOT NULL DEFAULT 'it''s' COMMENT ':varchar(20):',
  n int NOT NULL,
  PRIMARY KEY (parent_id, kind, size), UNIQUE KEY mother (mother),
  FOREIGN KEY (parent_id) REFERENCES {s}.parent(parent_id) ON UPDATE CASCADE ON DELETE RESTRICT,
  FOREIGN KEY (kind, size) REFERENCES {s}.`#kind`(kind, size) ON UPDATE CASCADE ON DELETE RESTRICT,
  FOREIGN KEY (mother) REFERENCES {s}.parent(parent_id) ON UPDATE CASCADE ON DELETE RESTRICT);
CREATE TABLE {s}.master__part_one (parent_id int NOT NULL, i smallint NOT NULL, PRIMARY KEY (parent_id, i));
CREATE TABLE {s}.parent__piece (parent_id int NOT NULL COMMENT 'pid', i smallint NOT NULL COMMENT ':int16:',
  PRIMARY KEY (parent_id, i),
  FOREIGN KEY (parent_id) REFERENCES {s}.parent(parent_id) ON UPDATE CASCADE ON DELETE RESTRICT);
CREATE TABLE {s}.`~~comp` (parent_id int NOT NULL, PRIMARY KEY (parent_id));
"""

LINEAGE = (
    ("parent", "parent_id", "{s}.parent.parent_id"),
    ("#kind", "kind", "{s}.#kind.kind"),
    ("#kind", "size", "{s}.#kind.size"),
    ("__comp", "parent_id", "{s}.parent.parent_id"),
    ("__comp", "kind", "{s}.#kind.kind"),
    ("__comp", "size", "{s}.#kind.size"),
    ("__comp", "mother", "{s}.parent.parent_id"),
    ("parent__piece", "parent_id", "{s}.parent.parent_id"),
    ("parent__piece", "i", "{s}.parent__piece.i"),
)

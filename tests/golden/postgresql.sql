-- a table
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"

-- restricted by SQL
SELECT "subject_id", "session", "experimenter", "session_date", "duration"
FROM "lab"."session" AS "t1"
WHERE ((CAST(EXTRACT(YEAR FROM "session_date") AS INT) = 2025) AND ("duration" > 20))

-- restricted by a dict
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE ("species" = %s AND "weight" IS NULL)
-- values: ['rat']

-- restricted twice
SELECT "subject_id", "session", "experimenter", "session_date", "duration"
FROM "lab"."session" AS "t1"
WHERE "subject_id" = %s AND ("duration" > 20)
-- values: [1]

-- restricted by a list of keys
SELECT "subject_id", "session", "experimenter", "session_date", "duration"
FROM "lab"."session" AS "t1"
WHERE ("subject_id", "session") IN ((%s, %s), (%s, %s))
-- values: [1, 1, 2, 1]

-- restricted by one attribute of several values
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE "subject_id" IN (%s, %s)
-- values: [1, 2]

-- restricted by alternatives
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE ("sex" = %s OR ("weight" > 20) OR EXISTS (SELECT 1
    FROM "lab"."mouse" AS "t2"
    WHERE "t2"."subject_id" = "t1"."subject_id"))
-- values: ['M']

-- restricted by all of several
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE ("sex" = %s AND ("weight" > 20))
-- values: ['M']

-- restricted by nothing
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE FALSE

-- anti-restricted by SQL
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE (("weight" > 20)) IS NOT TRUE

-- anti-restricted by a dict
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE ("sex" = %s) IS NOT TRUE
-- values: ['M']

-- restricted by a table
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE EXISTS (SELECT 1
  FROM "lab"."session" AS "t2"
  WHERE "t2"."subject_id" = "t1"."subject_id")

-- anti-restricted by a table
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE NOT EXISTS (SELECT 1
  FROM "lab"."session" AS "t2"
  WHERE "t2"."subject_id" = "t1"."subject_id")

-- restricted by a restricted join
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE EXISTS (SELECT 1
  FROM "lab"."session" AS "t2"
  JOIN "lab"."trial" AS "t3" USING ("subject_id", "session")
  WHERE ("rt" > 300) AND "t2"."subject_id" = "t1"."subject_id")

-- restricted by an aggregation
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE EXISTS (SELECT 1
  FROM (SELECT "subject_id", "session", COUNT(*) AS "n"
    FROM "lab"."session" AS "t3"
    LEFT JOIN "lab"."trial" AS "t4" USING ("subject_id", "session")
    GROUP BY "subject_id", "session") AS "t2"
  WHERE ("n" > 2) AND "t2"."subject_id" = "t1"."subject_id")

-- restricted by a top
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
WHERE EXISTS (SELECT 1
  FROM (SELECT "subject_id", "session"
    FROM "lab"."session" AS "t3"
    ORDER BY "session_date" DESC
    LIMIT %s) AS "t2"
  WHERE "t2"."subject_id" = "t1"."subject_id")
-- values: [2]

-- primary key
SELECT "subject_id"
FROM "lab"."subject" AS "t1"

-- some attributes
SELECT "subject_id", "sex"
FROM "lab"."subject" AS "t1"

-- all but one attribute
SELECT "subject_id", "species", "weight"
FROM "lab"."subject" AS "t1"

-- renamed
SELECT "subject_id" AS "mouse_id", "species" AS "kind"
FROM "lab"."subject" AS "t1"

-- renamed, then restricted
SELECT "subject_id", "kind"
FROM (SELECT "subject_id", "species" AS "kind"
  FROM "lab"."subject" AS "t2") AS "t1"
WHERE "kind" = %s
-- values: ['rat']

-- restricted, then renamed
SELECT "subject_id", "species" AS "kind"
FROM "lab"."subject" AS "t1"
WHERE "species" = %s
-- values: ['rat']

-- computed
SELECT "subject_id", "session", "trial", ROUND(ROUND(CAST("rt" AS NUMERIC), 4) / 1000, 4) AS "seconds"
FROM "lab"."trial" AS "t1"

-- computed, then restricted by a table's attribute
SELECT "subject_id", "session", "trial", "rt", ROUND(ROUND(CAST("rt" AS NUMERIC), 4) / 1000, 4) AS "s"
FROM "lab"."trial" AS "t1"
WHERE ("rt" > 1)

-- computed, then restricted
SELECT "subject_id", "session", "trial", "seconds"
FROM (SELECT "subject_id", "session", "trial", ROUND(ROUND(CAST("rt" AS NUMERIC), 4) / 1000, 4) AS "seconds"
  FROM "lab"."trial" AS "t2") AS "t1"
WHERE ("seconds" > 1)

-- joined
SELECT "subject_id", "session", "trial", "rt", "correct", "experimenter", "session_date", "duration"
FROM "lab"."session" AS "t1"
JOIN "lab"."trial" AS "t2" USING ("subject_id", "session")

-- joined without common attributes
SELECT "x", "y"
FROM "lab"."x" AS "t1"
CROSS JOIN "lab"."y" AS "t2"

-- restricted, then joined
SELECT "subject_id", "session", "trial", "rt", "correct", "experimenter", "session_date", "duration"
FROM "lab"."session" AS "t1"
JOIN "lab"."trial" AS "t2" USING ("subject_id", "session")
WHERE ("duration" > 20) AND "trial" = %s
-- values: [1]

-- join of three
SELECT "subject_id", "session", "trial", "rt", "correct", "experimenter", "session_date", "duration", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
JOIN "lab"."session" AS "t2" USING ("subject_id")
JOIN "lab"."trial" AS "t3" USING ("subject_id", "session")

-- join of a join
SELECT "subject_id", "session", "trial", "rt", "correct", "experimenter", "session_date", "duration", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
JOIN ("lab"."session" AS "t2"
  JOIN "lab"."trial" AS "t3" USING ("subject_id", "session")) USING ("subject_id")

-- joined under another name
SELECT "subject_id", "session", "other", "experimenter", "session_date", "duration"
FROM "lab"."session" AS "t1"
JOIN (SELECT "subject_id", "session" AS "other"
  FROM "lab"."session" AS "t3") AS "t2" USING ("subject_id")

-- joined without the names that would clash
SELECT "subject_id", "session", "later"
FROM (SELECT "subject_id", "session"
  FROM "lab"."session" AS "t2"
  WHERE ("duration" > 1)) AS "t1"
JOIN (SELECT "subject_id", "session" AS "later"
  FROM "lab"."session" AS "t4"
  WHERE ("duration" > 2)) AS "t3" USING ("subject_id")

-- extended
SELECT "subject_id", "session", "experimenter", "session_date", "duration", "full_name"
FROM "lab"."session" AS "t1"
LEFT JOIN "lab"."experimenter" AS "t2" USING ("experimenter")

-- extended by a restricted table
SELECT "subject_id", "session", "experimenter", "session_date", "duration", "full_name"
FROM "lab"."session" AS "t1"
LEFT JOIN (SELECT "experimenter", "full_name"
  FROM "lab"."experimenter" AS "t3"
  WHERE (CAST("full_name" AS TEXT) LIKE 'A%%')) AS "t2" USING ("experimenter")

-- joined with a computation
SELECT "subject_id", "session", "trial", "seconds", "experimenter", "session_date", "duration"
FROM "lab"."session" AS "t1"
JOIN (SELECT "subject_id", "session", "trial", ROUND(ROUND(CAST("rt" AS NUMERIC), 4) / 1000, 4) AS "seconds"
  FROM "lab"."trial" AS "t3") AS "t2" USING ("subject_id", "session")

-- joined with an aggregation
SELECT "subject_id", "species", "sex", "weight", "n"
FROM "lab"."subject" AS "t1"
JOIN (SELECT "subject_id", COUNT("session") AS "n"
  FROM "lab"."subject" AS "t3"
  LEFT JOIN "lab"."session" AS "t4" USING ("subject_id")
  GROUP BY "subject_id") AS "t2" USING ("subject_id")

-- aggregated
SELECT "subject_id", "session", COUNT("trial") AS "n", ROUND(AVG("rt"), 4) AS "mean"
FROM "lab"."session" AS "t1"
LEFT JOIN "lab"."trial" AS "t2" USING ("subject_id", "session")
GROUP BY "subject_id", "session"

-- aggregated with attributes kept
SELECT "subject_id", "species", COUNT("session") AS "n"
FROM "lab"."subject" AS "t1"
LEFT JOIN "lab"."session" AS "t2" USING ("subject_id")
GROUP BY "subject_id", "species"

-- aggregated over a restriction
SELECT "subject_id", "session", COUNT("trial") AS "n"
FROM "lab"."session" AS "t1"
LEFT JOIN (SELECT "subject_id", "session", "trial", "rt", "correct"
  FROM "lab"."trial" AS "t3"
  WHERE ("rt" > 250)) AS "t2" USING ("subject_id", "session")
GROUP BY "subject_id", "session"

-- aggregated without the others
SELECT "subject_id", "session", COUNT(*) AS "n"
FROM "lab"."session" AS "t1"
JOIN "lab"."trial" AS "t2" USING ("subject_id", "session")
GROUP BY "subject_id", "session"

-- aggregated, then restricted by its key
SELECT "subject_id", "session", COUNT("trial") AS "n"
FROM "lab"."session" AS "t1"
LEFT JOIN "lab"."trial" AS "t2" USING ("subject_id", "session")
WHERE "subject_id" = %s
GROUP BY "subject_id", "session"
-- values: [1]

-- aggregated, then restricted by the aggregate
SELECT "subject_id", "session", "n"
FROM (SELECT "subject_id", "session", COUNT(*) AS "n"
  FROM "lab"."session" AS "t2"
  LEFT JOIN "lab"."trial" AS "t3" USING ("subject_id", "session")
  GROUP BY "subject_id", "session") AS "t1"
WHERE ("n" > 2)

-- distinct values
SELECT DISTINCT "species"
FROM "lab"."subject" AS "t1"

-- distinct values, restricted
SELECT DISTINCT "species"
FROM "lab"."subject" AS "t1"
WHERE (CAST("species" AS TEXT) LIKE 'm%%')

-- distinct computed values
SELECT DISTINCT CAST(EXTRACT(YEAR FROM "session_date") AS INT) AS "year"
FROM "lab"."session" AS "t1"

-- whether there are rows
SELECT DISTINCT 1
FROM "lab"."subject" AS "t1"

-- summary of all
SELECT COUNT(*) AS "n"
FROM "lab"."subject" AS "t1"

-- summary by an attribute
SELECT "species", COUNT(*) AS "n"
FROM "lab"."subject" AS "t1"
GROUP BY "species"

-- union of keys
SELECT "subject_id"
FROM (SELECT "t2"."subject_id"
  FROM (SELECT "subject_id"
    FROM "lab"."mouse" AS "t4") AS "t2"
  UNION ALL SELECT "t5"."subject_id"
  FROM (SELECT "subject_id"
    FROM "lab"."rat" AS "t6") AS "t5"
  WHERE NOT EXISTS (SELECT 1
    FROM (SELECT "subject_id"
      FROM "lab"."mouse" AS "t8") AS "t7"
    WHERE "t7"."subject_id" = "t5"."subject_id")) AS "t1"

-- union with attributes
SELECT "subject_id", "strain", "cage"
FROM (SELECT "t2"."subject_id", "t2"."strain", "t3"."cage"
  FROM (SELECT "subject_id", "strain"
    FROM "lab"."mouse" AS "t4") AS "t2"
  LEFT JOIN (SELECT "subject_id", "cage"
    FROM "lab"."rat" AS "t5") AS "t3" ON "t2"."subject_id" = "t3"."subject_id"
  UNION ALL SELECT "t6"."subject_id", NULL AS "strain", "t6"."cage"
  FROM (SELECT "subject_id", "cage"
    FROM "lab"."rat" AS "t7") AS "t6"
  WHERE NOT EXISTS (SELECT 1
    FROM (SELECT "subject_id", "strain"
      FROM "lab"."mouse" AS "t9") AS "t8"
    WHERE "t8"."subject_id" = "t6"."subject_id")) AS "t1"

-- top
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
ORDER BY "weight" DESC NULLS LAST, "subject_id"
LIMIT %s
-- values: [3]

-- top with an offset and no limit
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
ORDER BY "subject_id"
LIMIT %s OFFSET %s
-- values: [9223372036854775807, 2]

-- top of a top in the same order
SELECT "subject_id", "species", "sex", "weight"
FROM "lab"."subject" AS "t1"
ORDER BY "weight" NULLS FIRST
LIMIT %s OFFSET %s
-- values: [3, 3]

-- top of a top in another order
SELECT "subject_id", "species", "sex", "weight"
FROM (SELECT "subject_id", "species", "sex", "weight"
  FROM "lab"."subject" AS "t2"
  ORDER BY "weight" NULLS FIRST
  LIMIT %s) AS "t1"
ORDER BY "subject_id"
LIMIT %s
-- values: [5, 3]

-- top, then restricted
SELECT "subject_id", "species", "sex", "weight"
FROM (SELECT "subject_id", "species", "sex", "weight"
  FROM "lab"."subject" AS "t2"
  ORDER BY "subject_id"
  LIMIT %s) AS "t1"
WHERE "sex" = %s
-- values: [5, 'M']

-- top, then computed
SELECT "subject_id", "weight", CAST("weight" AS DOUBLE PRECISION) * 2 AS "double"
FROM (SELECT "subject_id", "species", "sex", "weight"
  FROM "lab"."subject" AS "t2"
  ORDER BY "weight" NULLS FIRST
  LIMIT %s) AS "t1"
ORDER BY "weight" NULLS FIRST
-- values: [2]

"""The least that each workload needs, written by hand on a bare driver.

It knows its one table, checks nothing that the server does not check, and has no caches to warm. What a
job needs is all there: a claim that no two workers can win, the result and the end of the job in one
transaction, and the end of the job only for the one who holds the claim.
"""

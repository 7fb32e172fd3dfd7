"""The tables of an SQLite ledger, version by version.

Amounts are decimal text, and there is one sum for each budget and bucket, changed in the same
transaction: SQLite's own SUM would round, and whole units of some size would not hold the
fifteen places that a reply may have.

A hold that has left the list stays as a row with what was reserved and what was spent, and the
provider's task id; its receipt and job, which hold prompts, and the links of its pictures are
dropped.
"""

# "WANB": distinguishes a ledger from any other program's SQLite file.
APPLICATION_ID = 0x57414E42

# ``state`` is that of the money.
_VERSION_1 = (
    """CREATE TABLE holds (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        account TEXT NOT NULL,
        at TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'settled')),
        task TEXT,
        receipt TEXT,
        job TEXT
    )""",
    "CREATE INDEX open_holds ON holds (key, account) WHERE state = 'open'",
    """CREATE TABLE shares (
        hold INTEGER NOT NULL REFERENCES holds (number),
        place INTEGER NOT NULL,
        budget TEXT NOT NULL,
        bucket TEXT NOT NULL,
        most TEXT NOT NULL,
        reserved TEXT NOT NULL,
        spent TEXT,
        PRIMARY KEY (hold, place)
    ) WITHOUT ROWID""",
    """CREATE TABLE totals (
        budget TEXT NOT NULL,
        bucket TEXT NOT NULL,
        amount TEXT NOT NULL,
        PRIMARY KEY (budget, bucket)
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
# ``delivered`` is when, of a hold whose pictures are not all saved; NULL of any other. A picture's
# ``link`` is that of `wanbridge.ledger.deliveries.link_of`, not always one to fetch it from.
_VERSION_2 = (
    "ALTER TABLE holds ADD COLUMN delivered TEXT",
    "CREATE INDEX delivered_holds ON holds (key, account) WHERE delivered IS NOT NULL",
    """CREATE TABLE pictures (
        hold INTEGER NOT NULL REFERENCES holds (number),
        place INTEGER NOT NULL,
        link TEXT NOT NULL,
        image TEXT NOT NULL,
        drop_at TEXT NOT NULL,
        PRIMARY KEY (hold, place)
    ) WITHOUT ROWID""",
    "CREATE INDEX picture_links ON pictures (link)",
    "CREATE INDEX picture_ends ON pictures (drop_at)",
)
# The statements that make each version from the one before.
UPGRADES = (_VERSION_1, _VERSION_2)
VERSION = len(UPGRADES)

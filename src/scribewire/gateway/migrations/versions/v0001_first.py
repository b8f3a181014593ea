"""0001: keys, reports, and the target of the fleet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first schema."""
    at = sa.DateTime(timezone=True)
    op.create_table(
        "keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("prefix", sa.String, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("created_at", at, nullable=False),
        sa.Column("expires_at", at),
        sa.Column("revoked_at", at),
        sa.Column("max_sessions", sa.Integer),
    )
    op.create_index("ix_keys_prefix", "keys", ["prefix"])
    op.create_table(
        "reports",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("started_at", at, nullable=False),
        sa.Column("ended_at", at, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("dialect", sa.String, nullable=False),
        sa.Column("received_samples", sa.BigInteger, nullable=False),
        sa.Column("discarded_bytes", sa.BigInteger, nullable=False),
        sa.Column("settled_samples", sa.BigInteger, nullable=False),
        sa.Column("finals", sa.Integer, nullable=False),
        sa.Column("words", sa.Integer, nullable=False),
        sa.Column("partials", sa.Integer, nullable=False),
        sa.Column("streams", sa.Integer, nullable=False),
        sa.Column("streams_lost", sa.Integer, nullable=False),
        sa.Column("finals_dropped", sa.Integer, nullable=False),
        sa.Column("bad_messages", sa.Integer, nullable=False),
        sa.Column("listening_after_s", sa.Float),
        sa.Column("close_code", sa.Integer, nullable=False),
        sa.Column("error_code", sa.String),
    )
    op.create_index("ix_reports_key_id", "reports", ["key_id"])
    op.create_index("ix_reports_ended_at", "reports", ["ended_at"])
    fleet = op.create_table(
        "fleet",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("set_at", at),
    )
    op.bulk_insert(fleet, [{"id": 1, "wanted": 0, "set_at": None}])

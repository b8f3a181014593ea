"""0003: tickets and shares."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the credentials of browsers, and where captions are shared."""
    op.create_table(
        "tickets",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("key_id", sa.String, sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("origin", sa.String),
        sa.Column("language", sa.String),
        sa.Column("type", sa.String),
        sa.Column("max_s", sa.Float, nullable=False),
        sa.Column("share", sa.String),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_tickets_expires_at", "tickets", ["expires_at"])
    op.create_table(
        "shares",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_shares_expires_at", "shares", ["expires_at"])

"""0002: several gateways on one store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the gateways, what they hold, and who of them leads."""
    op.create_table(
        "gateways",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("live", sa.Integer, nullable=False),
        sa.Column("waiting", sa.Integer, nullable=False),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "live_sessions",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("gateway", sa.String, nullable=False),
    )
    op.create_index("ix_live_sessions_key_id", "live_sessions", ["key_id"])
    op.create_index("ix_live_sessions_gateway", "live_sessions", ["gateway"])
    lease = op.create_table(
        "lease",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(lease, [{"id": 1, "holder": "", "until_ms": 0}])
    op.add_column("fleet", sa.Column("asked", sa.BigInteger, nullable=False, server_default="0"))

"""An event as a handler gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    id: str
    subject: str
    sequence: int
    delivered: int
    headers: Mapping[str, str]
    body: bytes

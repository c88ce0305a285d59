"""The demo's backend: a notes API with the health endpoint that the supervisor probes."""

import os
from datetime import datetime, timezone

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, constr

VERSION = "1.0.0"
MAX_NOTES = 1000

app = FastAPI(title="Flocks demo backend", version=VERSION)
started_at = datetime.now(timezone.utc)
notes = [{"id": 1, "text": "Served by FastAPI, supervised by flocks."}]


class NewNote(BaseModel):
    """A note as the WebUI posts it."""

    text: constr(min_length=1, max_length=500)


@app.get("/api/health")
def health():
    """Liveness and readiness: healthy as soon as the application answers."""
    return {
        "status": "healthy",
        "version": VERSION,
        "timestamp": datetime.now(timezone.utc).isoformat(),
    }


@app.get("/api/about")
def about():
    """Which process answers, and under which generation of the supervisor."""
    return {
        "pid": os.getpid(),
        "service": os.environ.get("FLOCKS_SERVICE", ""),
        "invocation": os.environ.get("FLOCKS_INVOCATION_ID", ""),
        "started_at": started_at.isoformat(),
        "version": VERSION,
    }


@app.get("/api/notes")
def list_notes():
    """All notes, oldest first."""
    return notes


@app.post("/api/notes", status_code=201)
def add_note(note: NewNote):
    """Adds a note; refused once MAX_NOTES are kept."""
    if len(notes) >= MAX_NOTES:
        raise HTTPException(status_code=409, detail=f"{MAX_NOTES} notes are kept at most")
    entry = {"id": notes[-1]["id"] + 1 if notes else 1, "text": note.text}
    notes.append(entry)
    return entry

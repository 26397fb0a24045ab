"""A small API as people write them with FastAPI, for the gateway's tests."""

from typing import List

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float
    tags: List[int] = []


@app.get("/whoami")
def whoami(request: Request):
    return {"headers": [[k, v] for k, v in request.headers.items()]}


@app.post("/items", status_code=201)
def create(item: Item):
    return item


@app.get("/items/{item_id}")
def read(item_id: int):
    if item_id == 404:
        raise HTTPException(status_code=404, detail="Item not found")
    if item_id == 409:
        raise HTTPException(status_code=409, detail="Email already registered")
    if item_id == 401:
        raise HTTPException(status_code=401, detail="Session ended", headers={"WWW-Authenticate": 'Session realm="app"'})
    if item_id == 429:
        raise HTTPException(status_code=429, detail="Slow down", headers={"Retry-After": "7"})
    if item_id == 500:
        raise HTTPException(status_code=500, detail="QueuePool limit of size 20 overflow 10 reached")
    return {"id": item_id}


@app.get("/crash")
def crash():
    raise RuntimeError("secret text of /srv/app/db.py")


@app.get("/plain")
def plain():
    return PlainTextResponse("Only on weekdays", status_code=403)


@app.get("/events")
def events():
    return StreamingResponse((f"data: {i}\n\n" for i in range(3)), media_type="text/event-stream")


@app.get("/large")
def large():
    return StreamingResponse((b"x" * 65536 for _ in range(160)), media_type="application/octet-stream")


@app.get("/slash/")
def slash():
    return {"slash": True}

"""An API as FastAPI's documentation writes them, without slashes, and one route with."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/items")
@app.get("/items/{item_id}")
def items(item_id: int = 0):
    return {"id": item_id}


@app.post("/items")
def make():
    return {"made": True}


@app.get("/with/")
def with_slash():
    return {"with": True}

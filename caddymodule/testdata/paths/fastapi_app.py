"""The routes of the differential test of paths, with FastAPI."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def healthz():
    return {"route": "healthz"}


@app.get("/search")
def search():
    return {"route": "search"}


@app.get("/v1/admin/{rest:path}")
def admin(rest: str):
    return {"route": "admin", "id": rest}


@app.get("/v1/users/{user_id}")
@app.get("/v1/users/{user_id}/{rest:path}")
def user(user_id: str, rest: str = ""):
    return {"route": "user", "id": user_id}

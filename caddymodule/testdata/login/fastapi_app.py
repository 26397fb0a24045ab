"""An API with a log-in of its own, as FastAPI's tutorial has it: OAuth2 form, HS256."""

import os
import time

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

SECRET = os.environ["JWT_SECRET"]
bearer = OAuth2PasswordBearer(tokenUrl="/v1/auth/login")
app = FastAPI()


class Login(BaseModel):
    username: str
    password: str


def token(lifetime):
    now = int(time.time())
    return jwt.encode({"sub": "u1", "role": "USER", "iat": now - 3600, "exp": now + lifetime}, SECRET, algorithm="HS256")


def user(credential: str = Depends(bearer)):
    try:
        return jwt.decode(credential, SECRET, algorithms=["HS256"])["sub"]
    except jwt.PyJWTError:
        raise HTTPException(401, "Could not validate credentials")


@app.post("/v1/auth/login-json")
def login(given: Login):
    if given.password != "right":
        raise HTTPException(401, "Incorrect email or password")
    return {"access_token": token(3600), "expired": token(-60), "token_type": "bearer"}


@app.post("/v1/auth/refresh")
def refresh(credential: str = Depends(bearer)):
    try:
        jwt.decode(credential, SECRET, algorithms=["HS256"], options={"verify_exp": False})
    except jwt.PyJWTError:
        raise HTTPException(401, "Could not validate credentials")
    return {"access_token": token(3600), "token_type": "bearer"}


@app.get("/v1/auth/me")
def me(subject: str = Depends(user)):
    return {"id": subject}


@app.get("/v1/items")
def items():
    return []

"""The routes of the differential test of paths, with Flask."""

import logging
import sys

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return jsonify(route="healthz")


@app.get("/search")
def search():
    return jsonify(route="search")


@app.get("/v1/admin/<path:rest>")
def admin(rest):
    return jsonify(route="admin", id=rest)


@app.get("/v1/users/<user_id>")
@app.get("/v1/users/<user_id>/<path:rest>")
def user(user_id, rest=""):
    return jsonify(route="user", id=user_id)


if __name__ == "__main__":
    logging.getLogger("werkzeug").disabled = True
    app.run(port=int(sys.argv[1]), threaded=True)

"""What an application behind WSGI gets of a request."""

import logging
import sys

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/whoami", methods=["GET", "POST"])
def whoami():
    return jsonify({k: v for k, v in request.environ.items() if isinstance(v, str)})


if __name__ == "__main__":
    logging.getLogger("werkzeug").disabled = True
    app.run(port=int(sys.argv[1]), threaded=True)

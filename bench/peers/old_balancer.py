"""Stand-in for the balancer of the old system: Flask, and for every post a look at the usage of both nodes.

Written from the description of the old system, to be measured beside the new one. It keeps the old rule: the
fewest documents, then RAM, then CPU, then the first node. Percents come as strings; here they are compared as numbers.

    python old_balancer.py LISTEN_PORT NODE_A NODE_B        Flask's own server, a thread per connection
    NODE_A=… NODE_B=… gunicorn -w 2 old_balancer:app        the same under gunicorn
"""

import logging
import os
import sys

import requests
from flask import Flask, jsonify, request

if __name__ == "__main__":
    os.environ["NODE_A"], os.environ["NODE_B"] = sys.argv[2:4]

NODES = {"A": os.environ["NODE_A"], "B": os.environ["NODE_B"]}

app = Flask(__name__)


def choose():
    usage = {name: requests.get(url + "/usage", timeout=5).json() for name, url in NODES.items()}
    for key in ("database", "ram", "cpu"):
        a, b = float(usage["A"][key]), float(usage["B"][key])
        if a != b:
            return ("A" if a < b else "B"), key
    return "A", "A"


@app.route("/sentence", methods=["POST"])
def add_sentence():
    server, rule = choose()
    stored = requests.post(NODES[server] + "/sentence", json=request.get_json(), timeout=5)
    return jsonify({"server": server, "filter": rule, "data": stored.json()})


if __name__ == "__main__":
    logging.getLogger("werkzeug").disabled = True
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)

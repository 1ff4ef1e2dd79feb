"""A server that answers everything with 500, to show that somebody notices. Writes its port into the file it is given."""

import http.server
import sys


class Broken(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Broken)
with open(sys.argv[1], "w") as port:
    port.write(str(server.server_port))
server.serve_forever()

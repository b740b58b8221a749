"""TLS in front of a server that speaks plain HTTP on this machine.

Usage: tls_front.py CERTIFICATE KEY PORT

Prints its own port; whatever comes in is passed on to PORT.
"""

import socket
import ssl
import sys
import threading


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(connection, context, port):
    try:
        client = context.wrap_socket(connection, server_side=True)
        server = socket.create_connection(("127.0.0.1", port))
    except OSError:
        return connection.close()
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


def main(certificate, key, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context, int(port)), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])

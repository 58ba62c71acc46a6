"""The HTTP server itself: health, doubtful requests (T20), nothing without credentials (T16), bombs (T6), slow clients."""
import http.client
import json
import socket
import subprocess
import time

from conftest import BIN, free_port, wait_port


def serve(gantry, *flags):
    port = free_port()
    g = gantry('--http-port', str(port), *flags)
    wait_port(port, g.process)
    return g, port


def ask(port, method, path, headers=None, body=None):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    c.request(method, path, body=body, headers=headers or {})
    r = c.getresponse()
    return r.status, dict(r.getheaders()), r.read()


def raw(port, text):
    with socket.create_connection(('127.0.0.1', port), 10) as s:
        s.sendall(text)
        answer = b''
        while b'\r\n' not in answer:
            more = s.recv(4096)
            if not more:
                break
            answer += more
        return answer.split(b'\r\n')[0]


def test_health_and_the_description(gantry):
    _, port = serve(gantry)
    assert ask(port, 'GET', '/healthz')[0] == 200
    assert ask(port, 'GET', '/readyz')[0] == 200
    assert b'gantry_http_requests_total' in ask(port, 'GET', '/metrics')[2]
    status, headers, body = ask(port, 'GET', '/api/v1/openapi.json')
    paths = json.loads(body)['paths']
    assert status == 200 and '/dicom-web/studies' in paths and '/healthz' in paths
    assert headers['X-Content-Type-Options'] == 'nosniff'
    status, headers, body = ask(port, 'HEAD', '/healthz')
    assert status == 200 and body == b''


def test_problem_documents_say_what_is_wrong(gantry):
    _, port = serve(gantry)
    status, headers, body = ask(port, 'POST', '/healthz')
    assert status == 405 and headers['Allow'] == 'GET, HEAD'
    problem = json.loads(body)
    assert headers['Content-Type'] == 'application/problem+json' and problem['status'] == 405 and 'GET' in problem['detail']
    assert ask(port, 'GET', '/%2e%2e/etc/passwd')[0] == 404
    status, _, body = ask(port, 'GET', '/dicom-web/studies?limit=-1')
    assert status == 400 and json.loads(body)['field'] == 'limit'


def test_T16_without_credentials_nothing_but_health_answers(gantry):
    g, port = serve(gantry, '--auth', 'local')
    for path in json.loads(ask(port, 'GET', '/api/v1/openapi.json')[2])['paths']:
        status, headers, _ = ask(port, 'GET', path.replace('{', '').replace('}', ''))
        open_to_all = path in ('/healthz', '/readyz', '/api/v1/openapi.json')
        assert status == (200 if open_to_all else 401), path
        if not open_to_all:
            assert 'Bearer' in headers['WWW-Authenticate']
    assert ask(port, 'GET', '/metrics', {'Authorization': 'Bearer gk_' + 'A' * 43})[0] == 401
    assert ask(port, 'GET', '/metrics', {'Authorization': 'Basic YTpi'})[0] == 401
    assert ask(port, 'GET', '/metrics', {'Cookie': 'gantry_session=' + 'A' * 43})[0] == 401
    assert g.stop() == 0
    denied = [x for f in (g.data / 'audit').glob('*.jsonl') for x in map(json.loads, f.read_text().splitlines()) if x.get('action') == 'credentials']
    assert [x['outcome'] for x in denied] == ['denied', 'denied'] and denied[0]['address'] == '127.0.0.1', denied


def test_T16_open_on_another_address_does_not_start(tmp_path):
    r = subprocess.run([BIN, 'serve', '--data', str(tmp_path / 'data'), '--dicom-port', '0', '--http-port', '0', '--auth', 'none', '--http-address', '0.0.0.0'], capture_output=True, text=True, timeout=30)
    assert r.returncode == 2 and 'loopback' in r.stderr


def test_T20_doubtful_framing_is_refused(gantry):
    _, port = serve(gantry)
    for lines in (b'Content-Length: 3\r\nContent-Length: 4', b'Content-Length: 3\r\nTransfer-Encoding: chunked', b'Content-Length: -1', b'Content-Length: 0x10', b'Host: a\r\nHost: b'):
        first = raw(port, b'POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\n' + lines + b'\r\n\r\nabc')
        assert b' 400' in first or first == b'', (lines, first)
    assert ask(port, 'GET', '/healthz')[0] == 200
    first = raw(port, b'GET /healthz HTTP/1.1\r\nHost: x\r\nX: ' + b'a' * 100000 + b'\r\n\r\n')
    assert b' 431' in first or b' 413' in first or first == b'', first
    assert ask(port, 'GET', '/healthz')[0] == 200


def test_T6_bodies_are_not_inflated(gantry):
    _, port = serve(gantry)
    assert ask(port, 'GET', '/healthz', {'Content-Encoding': 'gzip', 'Content-Length': '3'}, b'abc')[0] == 415
    assert ask(port, 'GET', '/healthz', body=b'x' * 70000)[0] == 413


def test_T20_a_trickled_header_is_ended(gantry):
    """A byte now and then is progress to a timer of idleness, not to us: 20 s for a header, also on a connection that was used before."""
    _, port = serve(gantry)
    fresh, used = (socket.create_connection(('127.0.0.1', port), 10) for _ in range(2))
    used.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    while b'"ok"' not in used.recv(4096):
        pass
    fresh.sendall(b'GET /healthz HTTP/1.1\r\nX: ')
    used.sendall(b'GET /healthz HTTP/1.1\r\nX: ')
    ended, start = {}, time.monotonic()
    while len(ended) < 2 and time.monotonic() - start < 40:
        for name, s in (('fresh', fresh), ('used', used)):
            try:
                if name not in ended:
                    s.sendall(b'a')
            except OSError:
                ended[name] = time.monotonic() - start
        time.sleep(0.5)
    assert len(ended) == 2 and all(15 < t < 30 for t in ended.values()), ended
    assert ask(port, 'GET', '/healthz')[0] == 200


def test_what_is_shown_is_in_the_audit_log(gantry):
    g, port = serve(gantry)
    assert ask(port, 'GET', '/dicom-web/studies?PatientName=X*')[0] == 200
    assert g.stop() == 0
    lines = [json.loads(line) for f in sorted((g.data / 'audit').glob('*.jsonl')) for line in f.read_text().splitlines()]
    assert [(x['who'], x['action'], x['outcome']) for x in lines if x.get('action') == 'images.find'] == [('open', 'images.find', 'done')], lines


def test_an_address_in_use_is_said(tmp_path, gantry):
    """Under the address sanitizer what a failed start leaves open would change the status."""
    _, port = serve(gantry)
    r = subprocess.run([BIN, 'serve', '--data', str(tmp_path / 'other'), '--dicom-port', '0', '--http-port', str(port), '--auth', 'none'], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and '--http-port' in r.stderr, r.stderr


def test_slow_clients_do_not_stop_the_next_request(gantry):
    _, port = serve(gantry)
    slow = []
    for _ in range(1000):
        s = socket.create_connection(('127.0.0.1', port), 10)
        s.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ')
        slow.append(s)
    times = []
    for _ in range(20):
        start = time.monotonic()
        assert ask(port, 'GET', '/healthz')[0] == 200
        times.append(time.monotonic() - start)
    for s in slow:
        s.close()
    assert sorted(times)[10] < 0.5, times

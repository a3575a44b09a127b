"""celery_peer.py MESSAGES POOL CONCURRENCY: fills a queue, starts a worker that does not consume it yet, says "ready PID", lets it
begin when it hears a line, and ends it when its input is closed."""
import os
import signal
import subprocess
import sys
import time

messages, kind, concurrency = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.environ['PEER_SHARED'] = '1' if kind == 'gevent' else '0'
import celery_worker as worker  # noqa: E402 (it reads the environment)

QUEUE, NAME = 'peer-celery', f'peer{os.getpid()}@localhost'
worker.fill(QUEUE, messages)
process = subprocess.Popen(
    [os.path.join(os.path.dirname(sys.executable), 'celery'), '-A', 'celery_worker', 'worker', '-P', kind, '-c', concurrency,
     '-Q', 'peer-idle', '-n', NAME, '-l', 'ERROR', '--without-gossip', '--without-mingle', '--without-heartbeat'],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
try:
    deadline = time.time() + 60
    while not worker.app.control.ping(destination=[NAME], timeout=0.5):
        assert time.time() < deadline, 'the worker does not answer'
    time.sleep(1)
    print('ready', process.pid, flush=True)
    sys.stdin.readline()
    worker.app.control.add_consumer(QUEUE, destination=[NAME])
    sys.stdin.read()
finally:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()

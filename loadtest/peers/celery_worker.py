"""The same work as a Celery 5 task: one task per message, acknowledged late; opt-out check and claim in Redis, POST, result."""
import os
import threading

import redis
import requests
from celery import Celery

PREFIX = os.environ['PEER_KEY_PREFIX']
URL = os.environ['PEER_STUB'] + '/2010-04-01/Accounts/AC00112233445566778899aabbccddeeff/Messages.json'
TEXT = ('Hi Ana, your parcel 4711 arrives today between 14:00 and 16:00. Reply STOP to opt out. '
        'Was everything as it should be? https://example.org/s/98967f')

app = Celery('peer', broker=os.environ['PEER_AMQP'])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=4, worker_send_task_events=False,
                broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
pool = redis.ConnectionPool.from_url(os.environ['PEER_REDIS'], max_connections=500)
# One client for each process and thread; one shared client under gevent, whose pool makes a greenlet for each task.
local = type('Shared', (), {})() if os.environ.get('PEER_SHARED') == '1' else threading.local()


def clients():
    if not hasattr(local, 'http'):
        http = requests.Session()
        http.auth = ('AC00112233445566778899aabbccddeeff', 'tokentokentoken')
        http.trust_env = False
        http.mount('http://', requests.adapters.HTTPAdapter(pool_maxsize=500))
        local.redis = redis.Redis(connection_pool=pool)
        local.http = http
    return local.http, local.redis


@app.task(name='peer.send', acks_late=True, ignore_result=True)
def send(name, to, text):
    http, store = clients()
    if store.sismember(PREFIX + 'optout', to):
        return
    if not store.set(PREFIX + 'claim:' + name, '1', nx=True, ex=86400):
        return
    answer = http.post(URL, data={'From': '+12025550100', 'To': to, 'Body': text, 'ClientRef': name,
                                  'MessagingServiceSid': 'MG00112233445566778899aabbccddeeff'})
    assert answer.status_code == 201
    reply = answer.json()
    store.hset(PREFIX + 'res', name, reply['status'] + ':' + reply['sid'])


def fill(queue, count):
    with app.connection_for_write() as connection, app.amqp.Producer(connection, auto_declare=False) as producer:
        for index in range(count):
            send.apply_async((f'peer-{index:010d}', f'+3360{(index * 7654321 + 1234567) % 10000000:07d}', TEXT),
                             queue=queue, producer=producer, ignore_result=True)

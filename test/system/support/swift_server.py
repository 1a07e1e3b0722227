"""OpenStack Swift with the API of S3 in one process: proxy, account, container and object servers, one device.

    swift_server.py DIRECTORY

Listens on free ports of 127.0.0.1, prints the port of the proxy, and serves until standard input
ends. The access key is test:ckpt, the secret key SKCKPT.
"""
import os
import sys

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402
from swift.common import utils  # noqa: E402

directory = os.path.abspath(sys.argv[1])
path = lambda *names: os.path.join(directory, *names)  # noqa: E731

with open(path('swift.conf'), 'w') as file:
    file.write('[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n'
               '[storage-policy:0]\nname = p0\ndefault = yes\n')
utils.SWIFT_CONF_FILE = path('swift.conf')

from swift.common import constraints, storage_policy  # noqa: E402,F401
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402

storage_policy.reload_storage_policies()
os.makedirs(path('devices', 'd1'))

servers = {name: eventlet.listen(('127.0.0.1', 0)) for name in ('object', 'container', 'account', 'proxy')}


def make_ring(name):
    builder = RingBuilder(0, 1, 0)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': servers[name].getsockname()[1],
                     'device': 'd1', 'weight': 1, 'replication_ip': '127.0.0.1',
                     'replication_port': servers[name].getsockname()[1], 'meta': ''})
    builder.rebalance()
    builder.get_ring().save(path(name + '.ring.gz'))


COMMON = '''[DEFAULT]
bind_ip = 127.0.0.1
swift_dir = %(directory)s
devices = %(directory)s/devices
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
log_level = CRITICAL
log_address = /nonexistent
'''
PROXY = '''[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
# Where nothing listens: it works without, but for the middleware.
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:tempauth]
use = egg:swift#tempauth
user_test_ckpt = SKCKPT .admin
''' + ''.join('[filter:%s]\nuse = egg:swift#%s\n' % (name, name)
              for name in ('catch_errors', 'gatekeeper', 'listing_formats', 'copy', 'slo'))


def serve(name):
    with open(path(name + '.conf'), 'w') as file:
        file.write(COMMON % {'directory': directory})
        file.write(PROXY if name == 'proxy' else
                   '[pipeline:main]\npipeline = app\n[app:app]\nuse = egg:swift#%s\n' % name)
    app = loadapp(path(name + '.conf'))
    eventlet.spawn(eventlet.wsgi.server, servers[name], app, log=open(os.devnull, 'w'),
                   capitalize_response_headers=False)
    return app


for ring in ('object', 'container', 'account'):
    make_ring(ring)
for server in ('object', 'container', 'account'):
    serve(server)
serve('proxy')
print(servers['proxy'].getsockname()[1], flush=True)
eventlet.tpool.execute(sys.stdin.read)

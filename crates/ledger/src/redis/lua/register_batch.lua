-- Enters a batch unless it is there. KEYS: the batch. ARGV: record, digest, created, recipients,
-- lifetime in milliseconds.
if redis.call('HSETNX', KEYS[1], 'digest', ARGV[2]) == 0 then
  return redis.call('HMGET', KEYS[1], 'digest', 'record', 'published')
end
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'created', ARGV[3], 'recipients', ARGV[4],
  'lifetime', ARGV[5], 'connections', '', 'seq', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {}

-- Takes revoked sessions, whose revocation was published, out of the index KEYS[1] of their subject,
-- and keeps their names in KEYS[2], the newest first, for a list of ended sessions.
-- ARGV: when they were revoked, for how many seconds names are kept, then the ids.
local at, kept = tonumber(ARGV[1]), tonumber(ARGV[2])
local score = string.format('%.17g', -at)
for place = 3, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[place])
  redis.call('ZADD', KEYS[2], score, ARGV[place])
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], string.format('%.17g', kept - at), '+inf')
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', kept * 1000))
return 1

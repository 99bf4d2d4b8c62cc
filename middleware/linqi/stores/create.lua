-- Puts a session into the index of its subject, unless that has as many as it may have.
-- KEYS[1]: the index, a sorted set of session ids. The score of one that is not revoked is this
-- server's instant at its sign-in, which only rises; that of a revoked one is negative.
-- ARGV: the session id, the most sessions, when the session ends; for how many seconds after its
-- revocation a session is kept until it was published, 0 for ever; how many of those to return.
-- Returns whether the session is in the index now (0: others must leave it first), then their ids.
local index, session_id, kept = KEYS[1], ARGV[1], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(string.format('%s.%06d', time[1], time[2]))
if kept > 0 then
  redis.call('ZREMRANGEBYSCORE', index, string.format('(%.17g', kept - now), '(0')
end
local revoked = redis.call('ZRANGEBYSCORE', index, '-inf', '(0', 'LIMIT', 0, ARGV[5])
if redis.call('ZSCORE', index, session_id) then
  return {1, unpack(revoked)}
end
if redis.call('ZCOUNT', index, 0, '+inf') >= tonumber(ARGV[2]) then
  return {0}
end
-- A worker of an earlier release may have put one in by a clock that was ahead.
local last = redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')[2] or '0'
local score = math.max(now, tonumber(last) + 0.000001)
redis.call('ZADD', index, string.format('%.17g', score), session_id)
if redis.call('PTTL', index) < (tonumber(ARGV[3]) - now) * 1000 then
  redis.call('PEXPIREAT', index, string.format('%.0f', tonumber(ARGV[3]) * 1000))
end
return {1, unpack(revoked)}

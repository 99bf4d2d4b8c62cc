-- Keeps a new session, revoking the oldest ones of its subject beyond a number.
-- KEYS[1]: the session's hash, KEYS[2]: the subject's sorted set of session ids by their start.
-- ARGV: the prefix of hashes, the session id, the most sessions, now, when the set may go, then
-- the fields. Answers the ids of the sessions that are over for its sake.
local prefix, session_id, now = ARGV[1], ARGV[2], tonumber(ARGV[4])
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 6))
  redis.call('PEXPIREAT', KEYS[1],
    string.format('%.0f', tonumber(redis.call('HGET', KEYS[1], 'expires_at')) * 1000))
  redis.call('ZADD', KEYS[2], ARGV[4], session_id)
end
local last = tonumber(ARGV[5])
if redis.call('PTTL', KEYS[2]) < (last - now) * 1000 then
  redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', last * 1000))
end
local live = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local revoked_at = redis.call('HGET', prefix .. name, 'revoked_at')
  if not revoked_at then
    redis.call('ZREM', KEYS[2], name)
  elseif tonumber(revoked_at) == 0 then
    live[#live + 1] = name
  end
end
local over, surplus = {}, #live - tonumber(ARGV[3])
for _, name in ipairs(live) do
  if #over >= surplus then
    break
  end
  if name ~= session_id then
    redis.call('HSET', prefix .. name, 'revoked_at', ARGV[4], 'cause', 'limit')
    over[#over + 1] = name
  end
end
return over

-- Applies linqi.sessions.attempts.full_counter to all counters of an attempt, and counts it in all
-- of them or in none, in one step.
-- KEYS: the counters, sorted sets of attempts by instant; last the sorted set of counters by use.
-- ARGV: the attempt, now, the most counters; then of each counter its most attempts and its window
-- in seconds. Returns for each full counter its place and the instant
-- whose expiry frees it.
local attempt, now, counters = ARGV[1], tonumber(ARGV[2]), #KEYS - 1
local index, full = KEYS[#KEYS], {}
local function text(number)
  return string.format('%.17g', number)
end
for place = 1, counters do
  local key = KEYS[place]
  local most, seconds = tonumber(ARGV[2 * place + 2]), tonumber(ARGV[2 * place + 3])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - seconds))
  redis.call('ZREMRANGEBYSCORE', key, text(now + seconds), '+inf')
  if not redis.call('ZSCORE', key, attempt) then
    local surplus = redis.call('ZCARD', key) - most
    if surplus >= 0 then
      full[#full + 1] = place
      full[#full + 1] = redis.call('ZRANGE', key, surplus, surplus, 'WITHSCORES')[2]
    end
  end
end
if #full > 0 then
  return full
end
for place = 1, counters do
  local key, seconds = KEYS[place], tonumber(ARGV[2 * place + 3])
  redis.call('ZADD', key, 'NX', ARGV[2], attempt)
  redis.call('PEXPIRE', key, string.format('%.0f', seconds * 1000 + 60000))
  redis.call('ZADD', index, ARGV[2], key)
end
redis.call('PEXPIRE', index, 172800000)
local surplus = redis.call('ZCARD', index) - tonumber(ARGV[3])
for place, key in ipairs(redis.call('ZRANGE', index, 0, 7)) do
  if place <= surplus then
    redis.call('DEL', key)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', index, key)
  end
end
return full

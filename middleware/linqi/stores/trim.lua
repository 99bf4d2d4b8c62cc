-- Deletes revocations of the stream KEYS[1] that are past their end, in one step.
-- ARGV: now, the age in seconds from which entries are checked, how many at most. An old entry that
-- is not past its end, such as that of a token with a long lifetime, moves to the stream's end: the
-- next call checks others, and a follower receives it twice, which has no effect.
local old = (tonumber(redis.call('TIME')[1]) - tonumber(ARGV[2])) * 1000
local entries = redis.call('XRANGE', KEYS[1], '-', string.format('%.0f', old), 'COUNT', ARGV[3])
for _, entry in ipairs(entries) do
  local text = entry[2][2]
  if cjson.decode(text)['until'] > tonumber(ARGV[1]) then
    redis.call('XADD', KEYS[1], '*', entry[2][1], text)
  end
  redis.call('XDEL', KEYS[1], entry[1])
end
return #entries

-- Short texts that the workers share, judged by the server's clock.
-- KEYS[1]: the hash of one kind; each field holds when it was written, when it ends, and the text.
-- ARGV: put, claim, drop or read; then the name, the text and the seconds. Returns 1 or 0; for read,
-- which deletes those that have ended, the names, ages and texts of the others, at most ARGV[2].
local act, name, text, key = ARGV[1], ARGV[2], ARGV[3], KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function live(row)
  local at, ends, kept = string.match(row or '', '^(%S+) (%S+) (.*)$')
  at, ends = tonumber(at), tonumber(ends)
  if at and ends and ends > now then
    return kept, now - at
  end
end
if act == 'read' then
  local found, rows = {}, redis.call('HGETALL', key)
  for place = 1, #rows, 2 do
    local kept, age = live(rows[place + 1])
    if not kept then
      redis.call('HDEL', key, rows[place])
    elseif #found < 3 * tonumber(ARGV[2]) then
      found[#found + 1] = rows[place]
      found[#found + 1] = string.format('%.6f', age)
      found[#found + 1] = kept
    end
  end
  return found
end
local kept = live(redis.call('HGET', key, name))
if act == 'drop' then
  return kept == text and redis.call('HDEL', key, name) or 0
end
if act == 'claim' and kept then
  return 0
end
local seconds = tonumber(ARGV[4])
redis.call('HSET', key, name, string.format('%.6f %.6f ', now, now + seconds) .. text)
if redis.call('PTTL', key) < seconds * 1000 + 1000 then
  redis.call('PEXPIRE', key, string.format('%.0f', seconds * 1000 + 1000))
end
return 1

-- Raises the number in KEYS[1] to ARGV[1], never lowering it. Returns the number after it.
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(kept) >= tonumber(ARGV[1]) then
  return kept
end
if tonumber(ARGV[1]) > 0 then
  redis.call('SET', KEYS[1], ARGV[1])
end
return ARGV[1]

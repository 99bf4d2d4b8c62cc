-- Stores the end of the device tokens of one subject, which only rises.
-- KEYS[1]: the owner's key. ARGV: now, the least step, for how many milliseconds it is kept.
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
local after = math.max(tonumber(ARGV[1]), before + tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.17g', after), 'PX', ARGV[3])
return 1

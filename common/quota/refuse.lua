-- refuse: the vendor has refused a stream as too many, though there was a place for it.
--
-- KEYS  5 refusal   string, for as long as the limit is lowered: this refusal is known
-- ARGV  6 lowered ms
-- Does      lowers the limit for that time to what is held now minus one (at least one). It is never raised by a refusal.
-- Refuses   nothing.
-- Repeating is harmless: a refusal that is known changes nothing.
-- Returns   '0'

sweep()
if redis.call('SET', KEYS[5], '', 'NX', 'PX', ARGV[6]) then
  lowered = math.max(1, math.min(limit_now(), redis.call('ZCARD', HELD) - 1))
  lowered_until = NOW_MS + tonumber(ARGV[6])
  redis.call('HSET', STATE, 'lowered', lowered, 'lowered_until', text(lowered_until))
end
grant()
return answer('0')

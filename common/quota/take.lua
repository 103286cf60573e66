-- take: a place, or a place in the line.
--
-- ARGV  6 id
-- Does      holds a place, if there is one and nobody waits for it; else waits, behind everybody who came before.
-- Refuses   nothing.
-- Repeating is harmless: an id that is held is held (for a whole lease again), one that waits keeps its ticket.
-- Returns   its ticket, or '0' if the place is held

local id = ARGV[6]
sweep()
grant()

if redis.call('ZSCORE', HELD, id) then
  redis.call('ZADD', HELD, text(NOW_MS + LEASE_MS), id)
  return answer('0')
end
local ticket = redis.call('ZSCORE', WAITING, id)
if not ticket and room() > 0 then -- after `grant` there is room only if nobody waits
  redis.call('ZADD', HELD, text(NOW_MS + LEASE_MS), id)
  return answer('0')
end
if not ticket then
  -- By the clock, so that those who come after Redis has lost its memory stand behind those who remember their ticket.
  ticket = text(math.max(NOW_US, last_ticket + 1))
  redis.call('HSET', STATE, 'ticket', ticket)
  redis.call('ZADD', WAITING, ticket, id)
end
redis.call('ZADD', PATIENCE, text(NOW_MS + LEASE_MS), id)
return answer(ticket)

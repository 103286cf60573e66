-- interrupt: silence, as one fact.
--
-- ARGV  4 turn, or '' for everything that speaks or waits in the session   5 call (unique for each interrupt)
-- Does      writes `end` above every attempt, so that Redis refuses whatever a worker still publishes; seals the tokens, so
--           that the producer learns of it; ends the turn; lets the next one speak. A turn that waits is ended in its hash
--           only: its `end` entry is written when those before it have ended.
-- Refuses   nothing: a turn that has ended stays as it is. `unknown`: no such turn in this session.
-- Repeating is harmless: it finds the turn ended and returns the cut that was; for a session, the same call returns what it
--           returned before, and leaves a turn alone that was opened in between.
-- Returns   JSON {status = interrupted | unknown, cuts = [{turn, number, samples, spoken}]}; for a turn that had ended before,
--           `state` tells how.

local turn, call = ARGV[4], ARGV[5]
if turn == '' then
  if redis.call('HGET', SESSION, 'interrupt') == call then return redis.call('HGET', SESSION, 'interrupt_reply') end
  local reply = cjson.encode({status = 'interrupted', cuts = interrupt_session()})
  if redis.call('EXISTS', SESSION) == 1 then redis.call('HSET', SESSION, 'interrupt', call, 'interrupt_reply', reply) end
  return reply
end

local fields = read_turn(turn)
if not fields or fields.session ~= ARGV[3] then return cjson.encode({status = 'unknown', cuts = {}}) end
if fields.ended then
  local cut = {turn = turn, number = fields.number, samples = fields.samples, spoken = fields.spoken, state = fields.state}
  return cjson.encode({status = 'interrupted', cuts = {cut}})
end
local waited = fields.state == 'waiting'
local cut = interrupt(turn, fields)
if not waited then advance() end
return cjson.encode({status = 'interrupted', cuts = {cut}})

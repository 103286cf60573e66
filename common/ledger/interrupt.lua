-- interrupt: silence, as one fact.
--
-- ARGV  4 turn, or '' for the session   5 call (unique for each interrupt)   6 cause ('' if there is nothing to say)
--       7 '1' for a session: only what waits
-- Does      writes `end` above every attempt, so that Redis refuses whatever a worker still publishes; seals the tokens, so
--           that the producer learns of it; ends the turn; lets the next one speak. A turn that waits is ended in its hash
--           only: its `end` entry is written when those before it have ended.
-- Refuses   nothing: a turn that has ended stays as it is. `unknown`: no such turn in this session.
-- Repeating is harmless: it finds the turn ended and returns the cut that was; for a session, the same call returns what it
--           returned before, and leaves a turn alone that was opened in between.
-- Returns   JSON {status = interrupted | unknown, cuts = [{turn, number, samples, spoken, state, played, heard}]}; `state` is
--           another one for a turn that had ended before; no `played` and `heard` where no player has reported.

-- So many interrupts of a session may come between one of them and its repetition.
local MOST_ANSWERED = 8

local turn, call, cause, waiting_only = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1'
if turn == '' then
  local answered = cjson.decode(redis.call('HGET', SESSION, 'interrupts') or '[]')
  for _, earlier in ipairs(answered) do
    if earlier.call == call then return earlier.reply end
  end
  local reply = cjson.encode({status = 'interrupted', cuts = interrupt_session(waiting_only, cause)})
  if redis.call('EXISTS', SESSION) == 1 then
    table.insert(answered, {call = call, reply = reply})
    if #answered > MOST_ANSWERED then table.remove(answered, 1) end
    redis.call('HSET', SESSION, 'interrupts', cjson.encode(answered))
  end
  return reply
end

local fields = read_turn(turn)
if not fields or fields.session ~= ARGV[3] then return cjson.encode({status = 'unknown', cuts = {}}) end
if fields.ended then
  return cjson.encode({status = 'interrupted', cuts = {cut_of(turn, fields, fields.samples, fields.spoken)}})
end
local waited = fields.state == 'waiting'
local cut = end_early(turn, fields, 'interrupted', cause)
if not waited then advance() end
return cjson.encode({status = 'interrupted', cuts = {cut}})

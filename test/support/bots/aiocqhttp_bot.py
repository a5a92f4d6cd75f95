"""A bot of aiocqhttp, in reverse mode: listens on the given port."""
import sys

from aiocqhttp import CQHttp, Event

bot = CQHttp(access_token="key")


@bot.on_message
async def answer(event: Event):
    print(f"heard {event.raw_message}", flush=True)
    if event.raw_message == "recall":
        sent = await bot.send(event, "soon gone")
        await bot.delete_msg(message_id=sent["message_id"])
        return
    await bot.send(event, f"echo {event.raw_message}")


@bot.on_notice
async def noticed(event: Event):
    print(f"notice {event.get('notice_type')}", flush=True)


bot.run(host="127.0.0.1", port=int(sys.argv[1]), use_reloader=False)

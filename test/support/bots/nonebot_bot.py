"""A bot of nonebot2: `reverse` listens on the given port, `forward` dials it."""
import sys

import nonebot
from nonebot.adapters.onebot.v11 import Adapter, Bot, MessageEvent, NoticeEvent

mode, port = sys.argv[1], int(sys.argv[2])
if mode == "reverse":
    nonebot.init(driver="~fastapi", host="127.0.0.1", port=port, onebot_access_token="key")
else:
    urls = [f"ws://127.0.0.1:{port}/"]
    nonebot.init(driver="~websockets", onebot_ws_urls=urls, onebot_access_token="key")
nonebot.get_driver().register_adapter(Adapter)
messages = nonebot.on_message()
notices = nonebot.on_notice()


@messages.handle()
async def answer(bot: Bot, event: MessageEvent):
    text = event.get_plaintext()
    print(f"heard {text}", flush=True)
    if text == "recall":
        sent = await bot.send(event, "soon gone")
        await bot.delete_msg(message_id=sent["message_id"])
        return
    await bot.send(event, f"echo {text}")


@notices.handle()
async def noticed(event: NoticeEvent):
    print(f"notice {event.notice_type}", flush=True)


nonebot.run()

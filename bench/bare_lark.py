"""A bare lark-oapi client over the long connection, for comparison: it acknowledges and does nothing else."""

from __future__ import annotations

import sys

import lark_oapi as lark
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTrigger, P2CardActionTriggerResponse


def main(domain: str, app_id: str, app_secret: str) -> None:
    """Listen until killed."""

    def nothing(_event: object) -> None:
        """Leave it to the client to acknowledge."""

    def pressed(_event: P2CardActionTrigger) -> P2CardActionTriggerResponse:
        return P2CardActionTriggerResponse({})

    handler = (
        lark.EventDispatcherHandler.builder("", "")
        .register_p2_im_message_receive_v1(nothing)
        .register_p2_card_action_trigger(pressed)
        .build()
    )
    lark.ws.Client(app_id, app_secret, event_handler=handler, domain=domain, log_level=lark.LogLevel.ERROR).start()


if __name__ == "__main__":
    main(*sys.argv[1:])

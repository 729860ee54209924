"""The floor: the same framework, server and parameters; the same bytes as a constant, with nothing around."""

from litestar import Litestar, get
from litestar.enums import MediaType
from litestar.params import FromPath, FromQuery

ANSWER = (
    b'{"object":"decision","account":"a-1","pupil":"p-1","feature":"messages","channel":"mobile","allowed":true,'
    b'"reason":"paid","valid_until":"2027-06-30T22:00:00Z","sources":[{"source":"paid","id":"sub_01m80es148fk8r339tgtw9g2qf",'
    b'"since":"2026-09-01T08:00:00Z","until":"2027-06-30T22:00:00Z"}],"reverts_to":"basic","free_in_browser":true,'
    b'"notice_pending":false,"as_of":"2026-11-22T08:00:00Z"}'
)


@get("/v1/accounts/{account:str}/entitlements/{feature:str}", media_type=MediaType.JSON)
async def constant(
    account: FromPath[str], feature: FromPath[str], channel: FromQuery[str], pupil: FromQuery[str]
) -> bytes:
    """Say the same, whoever asks."""
    del account, feature, channel, pupil
    return ANSWER


app = Litestar([constant], openapi_config=None)

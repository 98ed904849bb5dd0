"""Instructions: cycles, turns and bytes of programs written by hand as a TPU's compiler writes."""

import pytest

from jaxbias.engine.instructions import Instructions, Loop, Work, read

CYCLES = 'backend_config={"flag_configs":[],"window_config":{"estimated_cycles":"%d"}}'
# A loop of 3 turns, in which a loop of 11 gathers 2 images of 4 bytes and multiplies.
NESTED = f"""HloModule jit_f, entry_computation_layout={{(f32[8]{{0}})->f32[8]{{0}}}}

%fused_gather (p.0: u8[9,4], p.1: s32[2]) -> u8[2,4] {{
  %p.0 = u8[9,4]{{1,0:T(8,128)(4,1)}} parameter(0)
  %p.1 = s32[2]{{0:T(128)}} parameter(1)
  ROOT %gather.1 = u8[2,4]{{1,0:T(8,128)(4,1)}} gather(%p.0, %p.1), offset_dims={{1}}
}}

%inner_body (in.0: (s32[], u8[9,4])) -> (s32[], u8[9,4]) {{
  %in.0 = (s32[]{{:T(128)}}, u8[9,4]{{1,0:T(8,128)S(1)}}) parameter(0)
  %get-tuple-element.1 = u8[9,4]{{1,0}} get-tuple-element(%in.0), index=1
  %gather_fusion = u8[2,4]{{1,0}} fusion(%get-tuple-element.1, %c), kind=kCustom, calls=%fused_gather, backend_config={{"integer_config":{{"integer":"2"}}}}
  %product = f32[2,4]{{1,0}} fusion(%gather_fusion), kind=kOutput, calls=%fused_product, {CYCLES % 100}
  ROOT %tuple.1 = (s32[], u8[9,4]) tuple(%add.1, %get-tuple-element.1)
}}

%inner_condition (in.1: (s32[], u8[9,4])) -> pred[] {{
  %constant.1 = s32[]{{:T(128)}} constant(11), metadata={{op_name="jit(f)/while"}}
  %in.1 = (s32[]{{:T(128)}}, u8[9,4]{{1,0}}) parameter(0)
  %get-tuple-element.2 = s32[]{{:T(128)}} get-tuple-element(%in.1), index=0
  ROOT %lt.1 = pred[]{{:T(512)}} compare(%get-tuple-element.2, %constant.1), direction=LT
}}

%outer_body (out.0: (s32[], u8[9,4])) -> (s32[], u8[9,4]) {{
  %out.0 = (s32[]{{:T(128)}}, u8[9,4]{{1,0}}) parameter(0)
  %set_up = f32[8]{{0}} fusion(%out.0), kind=kLoop, calls=%fused_set_up, {CYCLES % 7}
  ROOT %while.1 = (s32[]{{:T(128)}}, u8[9,4]{{1,0}}) while(%out.0), condition=%inner_condition, body=%inner_body
}}

%outer_condition (out.1: (s32[], u8[9,4])) -> pred[] {{
  %constant.2 = s32[]{{:T(128)}} constant(3)
  %out.1 = (s32[]{{:T(128)}}, u8[9,4]{{1,0}}) parameter(0)
  %get-tuple-element.3 = s32[]{{:T(128)}} get-tuple-element(%out.1), index=0
  ROOT %lt.2 = pred[]{{:T(512)}} compare(%get-tuple-element.3, %constant.2), direction=LT
}}

ENTRY %main (a.0: u8[9,4]) -> (s32[], u8[9,4]) {{
  %a.0 = u8[9,4]{{1,0}} parameter(0)
  %sort.1 = (u32[8,64]{{0,1:T(8,128)}}, s32[8,64]{{0,1:T(8,128)S(1)}}) sort(%x, %y), dimensions={{1}}, to_apply=%less
  %once = f32[8]{{0}} fusion(%a.0), kind=kLoop, calls=%fused_once, {CYCLES % 1000}
  ROOT %while.2 = (s32[], u8[9,4]) while(%tuple.2), condition=%outer_condition, body=%outer_body
}}
"""  # noqa: E501


def test_bodies_count_as_often_as_they_are_run():
    gathered, sorted_bytes = 2 * 2 * 4, 2 * (8 * 64 * 4 + 8 * 64 * 4)
    turn = Work(100.0, gathered)
    member = Work(7.0 + 11 * 100, 11 * gathered)
    found = read(NESTED)
    assert found == Instructions(
        Work(1000 + 3 * (7.0 + 11 * 100), sorted_bytes + 3 * 11 * gathered),
        (Loop(3, 1, member), Loop(11, 3, turn)),
        {},
    )
    assert found.turn_of(11) == Work(300.0, 3 * gathered)
    assert found.turn_of(5) is None


@pytest.mark.parametrize("condition", ["direction=GT", "direction=LT, and another"])
def test_of_a_loop_that_ends_nobody_knows_when_one_turn_counts(condition):
    text = NESTED.replace(
        "compare(%get-tuple-element.2, %constant.1), direction=LT",
        f"compare(%get-tuple-element.2, %constant.1), {condition}"
        + ("\n  %constant.9 = s32[] constant(5)" if "another" in condition else ""),
    )
    found = read(text)
    assert [loop.turns for loop in found.loops] == [3, 0]
    assert found.work.cycles == 1000 + 3 * (7 + 100)


def test_what_is_exchanged_is_counted_wherever_it_is():
    exchanged = "  %all-reduce.1 = f32[4]{0} all-reduce(%product), to_apply=%add\n"
    text = NESTED.replace("  ROOT %tuple.1", exchanged + "  ROOT %tuple.1").replace(
        "  %once =",
        "  %all-gather-start.1 = f32[4]{0} all-gather-start(%a.0), dimensions={0}\n  %once =",
    )
    assert read(text).collectives == {"all-reduce": 1, "all-gather": 1}


def test_a_scatter_moves_its_updates_and_a_conditional_is_its_longest_branch():
    text = f"""%yes (y: f32[100,4]) -> f32[100,4] {{
  %y = f32[100,4]{{1,0}} parameter(0)
  %updates.1 = bf16[3,4]{{1,0}} parameter(1)
  ROOT %scatter.1 = f32[100,4]{{1,0}} scatter(%y, %places, %updates.1), to_apply=%add
}}

%no (n: f32[100,4]) -> f32[100,4] {{
  ROOT %n.1 = f32[100,4]{{1,0}} fusion(%n), kind=kLoop, calls=%f, {CYCLES % 5}
}}

ENTRY %main (a: f32[100,4]) -> f32[100,4] {{
  %call.1 = f32[100,4]{{1,0}} call(%a), to_apply=%yes
  ROOT %c = f32[100,4]{{1,0}} conditional(%p, %a, %a), branch_computations={{%yes, %no}}
}}
"""
    assert read(text).work == Work(5.0, 2 * 3 * 4 * 2)


def test_a_kernel_says_how_many_cycles_a_turn_takes():
    """As the compiler writes it, over several lines, and beside what it expects of others."""
    said = 'frontend_attributes={kernel_metadata={\n"cycles":"30"\n}}'
    text = f"""HloModule jit_k

ENTRY %main (a: bf16[4,64,197,1152]) -> bf16[4,64,197,1152] {{
  %look.1 = (bf16[4,64,197,384]{{3,2,1,0}}, f32[4,64,6,197]{{3,2,1,0}}) custom-call(%a), custom_call_target="tpu_custom_call", {said}, metadata={{op_name="jit(f)/look"}}
  %look.2 = bf16[64,197,384]{{2,1,0}} custom-call(%a), custom_call_target="tpu_custom_call", {said}
  %other = bf16[64,197,384]{{2,1,0}} custom-call(%a), custom_call_target="tpu_custom_call", frontend_attributes={{kernel_metadata={{}}}}
  ROOT %copy.1 = bf16[64,197,384]{{2,1,0}} copy(%look.2), {said}, {CYCLES % 7}
}}
"""  # noqa: E501
    assert read(text).work == Work(4 * 64 * 30 + 64 * 30 + 7.0)

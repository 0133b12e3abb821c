//! Visits without a fault, and cards removed in the middle of a visit.

use std::time::Duration;

use anyhow::Result;

use super::Stage;

/// `card-balance`: a card is read; its holder sees the menu and the balance.
pub(super) fn by_card(context: &mut Stage) -> Result<()> {
    context.shot("首页")?;
    context.sign_in_by_card("zhang-guiying")?;
    context.shot("菜单")?;
    let words = context.at()?.words()?.join(" ");
    context.expect("只显示掩码姓名", words.contains("张*英") && !words.contains("张桂英"), || words.clone());
    context.at()?.tap("医保账户余额")?;
    context.at()?.see("¥1,286.40")?;
    context.shot("医保账户余额")?;
    context.at()?.tap("看完了")?;
    context.at()?.see("您想办什么")?;
    context.at()?.take_card()?;
    context.at()?.see("请选择一种方式开始")?;
    let words = context.at()?.words()?.join(" ");
    context.expect("离开后屏幕上什么也不留", !words.contains('张'), || words.clone());
    Ok(())
}

/// `code-insurance-proof`: begins by code at the camera; consent, proof, A4 document; then the menu in large text and
/// in English.
pub(super) fn by_code(context: &mut Stage) -> Result<()> {
    context.sign_in_by_code("wang-jianguo")?;
    context.at()?.tap("社保参保证明")?;
    context.at()?.see("请确认是否授权")?;
    context.shot("授权")?;
    context.at()?.tap("同意，继续")?;
    context.at()?.see("286")?;
    context.shot("参保信息")?;
    let before = (context.at()?.sheets()?, context.at()?.papers()?.len());
    context.at()?.tap("打印")?;
    context.at()?.see("请从 A4 出纸口取走")?;
    context.shot("已打印")?;
    let paper = context.newest_sheet("参保证明")?;
    let after = (context.at()?.sheets()?, context.at()?.papers()?.len());
    context
        .expect("正好一张 A4，没有凭条", after == (before.0 + 1, before.1), || format!("{after:?}"));
    context.expect("证明上只有掩码", paper.contains("王*国") && !paper.contains("王建国"), || paper.clone());
    context.at()?.tap("完成")?;
    context.at()?.tap("长辈版")?;
    context.at()?.see("标准版")?;
    context.shot("长辈版菜单")?;
    context.at()?.tap("English")?;
    context.at()?.see("What would you like to do")?;
    context.shot("English, large text")?;
    context.at()?.tap("Leave")?;
    context.at()?.see("请选择一种方式开始")?;
    Ok(())
}

/// `card-water-payment`: a water bill paid by card: choose, confirm, wrong PIN, right PIN, paid, receipt.
pub(super) fn pays_by_card(context: &mut Stage) -> Result<()> {
    let resident = context.resident("zhang-guiying")?;
    context.sign_in_by_card("zhang-guiying")?;
    context.at()?.tap("水费缴纳")?;
    context.at()?.see("请选择要缴的水费")?;
    context.at()?.tap("年")?;
    context.shot("选择账单")?;
    context.at()?.tap("下一步")?;
    context.at()?.see("请核对后付款")?;
    context.shot("核对")?;
    context.at()?.tap("确认付款")?;
    context.at()?.see("请输入社保卡密码")?;
    context.at()?.enter_pin("000000")?;
    context.at()?.tap("确定")?;
    context.at()?.see("密码不对")?;
    context.shot("密码不对")?;
    context.at()?.enter_pin(&resident.card.pin)?;
    context.shot("输入密码")?;
    context.at()?.tap("确定")?;
    context.at()?.see("已付款")?;
    context.at()?.see("请从出纸口取走凭条")?;
    context.shot("已付款")?;
    let paper = context.newest_paper("缴费凭条")?;
    context.expect(
        "凭条写明金额",
        paper.contains(".30") || paper.contains(".60") || paper.contains(".40"),
        || paper.clone(),
    );
    context.expect("凭条不是补打", !paper.contains("补打"), || paper.clone());
    context.at()?.tap("完成")?;
    context.at()?.see("您想办什么")?;
    context.at()?.tap("取卡离开")?;
    context.at()?.see("请取卡")?;
    context.shot("请取卡")?;
    context.at()?.take_card()?;
    context.at()?.see("请选择一种方式开始")?;
    Ok(())
}

/// `e-certificate`: an e-certificate is shown and printed masked, with its holder's consent; a resident without one
/// sees a message that says so.
pub(super) fn sees_a_licence(context: &mut Stage) -> Result<()> {
    context.sign_in_by_card("zhang-guiying")?;
    context.at()?.tap("老年人优待证")?;
    context.at()?.see("请确认是否授权")?;
    context.shot("优待证：授权")?;
    context.at()?.tap("同意，继续")?;
    context.at()?.see("重庆市卫生健康委员会")?;
    context.shot("优待证")?;
    let words = context.at()?.words()?.join(" ");
    context.expect(
        "优待证只显示掩码",
        words.contains("张*英") && !words.contains("19480315"),
        || words.clone(),
    );
    context.at()?.tap("打印")?;
    context.at()?.see("请从出纸口取走凭条")?;
    let paper = context.newest_paper("老年人优待证")?;
    context.expect("纸上只有掩码", paper.contains("张*英") && !paper.contains("张桂英"), || {
        paper.clone()
    });
    context.at()?.tap("完成")?;
    context.at()?.see("您想办什么")?;
    context.at()?.take_card()?;
    context.at()?.see("请选择一种方式开始")?;
    context.sign_in_by_code("wang-jianguo")?;
    context.at()?.tap("老年人优待证")?;
    context.at()?.see("请确认是否授权")?;
    context.at()?.tap("同意，继续")?;
    context.at()?.see("没有查到您的优待证")?;
    context.shot("没有优待证")?;
    context.at()?.tap("退出")?;
    context.at()?.see("请选择一种方式开始")?;
    Ok(())
}

/// `staff-card-status`: a staff card shows the kiosk's device faults; a staff card that the site file does not list
/// shows nothing.
pub(super) fn staff_looks(context: &mut Stage) -> Result<()> {
    context.at()?.insert("staff-stranger")?;
    let seen = context.at()?.see("这不是社会保障卡").map(drop);
    context.report.expect("没有登记的工作人员卡不受理", seen);
    context.at()?.take_card()?;
    context.at()?.see("请选择一种方式开始")?;
    context.at()?.fault("paper-out", true)?;
    context.at()?.see_within("凭条纸用完了", Duration::from_secs(20))?;
    context.at()?.insert("staff")?;
    context.at()?.see("本机状态")?;
    context.shot("本机状态：缺纸")?;
    let words = context.at()?.words()?.join(" ");
    context.expect("说明缺纸和怎么办", words.contains("缺纸：换一卷"), || words.clone());
    context.at()?.fault("paper-out", false)?;
    context.at()?.see("正常")?;
    context.at()?.tap("取卡离开")?;
    context.at()?.see("请取卡")?;
    context.at()?.take_card()?;
    context.at()?.see("请选择一种方式开始").map(drop)
}

/// `change-card-pin`: the card's PIN is changed, after which the old one is invalid; then it is changed back for the
/// scenarios that follow.
pub(super) fn changes_pin(context: &mut Stage) -> Result<()> {
    const NEW: &str = "580216";
    let resident = context.resident("ran-guangming")?;
    context.sign_in_by_card("ran-guangming")?;
    let own = resident.card.pin.as_str();
    for (old, new, caption) in [(own, NEW, "改成新密码"), (NEW, own, "改回原来的密码")] {
        context.at()?.tap("修改社保卡密码")?;
        context.at()?.see("请输入现在的密码")?;
        context.at()?.enter_pin(old)?;
        context.at()?.tap("确定")?;
        context.at()?.see("请设置新密码")?;
        context.at()?.enter_pin("123456")?;
        context.at()?.tap("确定")?;
        context.at()?.see("这个密码容易被猜到")?;
        context.shot("太容易猜到的密码")?;
        context.at()?.enter_pin(new)?;
        context.at()?.tap("确定")?;
        context.at()?.see("请再输入一次新密码")?;
        context.at()?.enter_pin(new)?;
        context.at()?.tap("确定")?;
        let seen = context.at()?.see("密码已修改").map(drop);
        context.shot(caption)?;
        context.report.expect(caption, seen);
        context.at()?.tap("完成")?;
        context.at()?.see("您想办什么")?;
    }
    context.shot("菜单")?;
    context.at()?.tap("取卡离开")?;
    context.at()?.take_card()?;
    context.at()?.see("请选择一种方式开始").map(drop)
}

/// Goes from the menu to one view.
type Go = fn(&Stage) -> Result<()>;

/// `card-removed-at-every-view`: the card is removed at every view of a visit; the visit ends at once each time.
pub(super) fn card_taken_everywhere(context: &mut Stage) -> Result<()> {
    let to: [(&str, Go); 9] = [
        ("菜单", |_| Ok(())),
        ("授权", |context| {
            context.at()?.tap("社保参保证明")?;
            context.at()?.see("请确认是否授权").map(drop)
        }),
        ("参保信息", proof),
        ("凭条", |context| {
            proof(context)?;
            context.at()?.tap("打印")?;
            context.at()?.see("已打印").map(drop)
        }),
        ("余额", |context| {
            context.at()?.tap("医保账户余额")?;
            context.at()?.see("¥").map(drop)
        }),
        ("账单", |context| {
            context.at()?.tap("水费缴纳")?;
            context.at()?.see("请选择要缴的水费").map(drop)
        }),
        ("核对", Stage::choose_first_bill),
        ("密码", |context| {
            context.choose_first_bill()?;
            context.at()?.tap("确认付款")?;
            context.at()?.see("请输入社保卡密码")?;
            context.at()?.enter_pin("12")
        }),
        ("密码不对", |context| {
            context.choose_first_bill()?;
            context.at()?.tap("确认付款")?;
            context.at()?.see("请输入社保卡密码")?;
            context.at()?.enter_pin("000000")?;
            context.at()?.tap("确定")?;
            context.at()?.see("密码不对").map(drop)
        }),
    ];
    for (name, go) in to {
        context.sign_in_by_card("ouyang-xuemei")?;
        go(context)?;
        context.at()?.take_card()?;
        let welcome = context.at()?.see("请选择一种方式开始").map(drop);
        context.report.expect(&format!("在“{name}”拔卡，立刻回到首页"), welcome);
    }
    taken_right_after_paying(context)
}

/// Goes from the menu to the content of the insurance proof.
fn proof(context: &Stage) -> Result<()> {
    context.at()?.tap("社保参保证明")?;
    context.at()?.see("请确认是否授权")?;
    context.at()?.tap("同意，继续")?;
    context.at()?.button("打印").map(drop)
}

/// The card is removed after the order was recorded: the payment continues, and a notice shows its outcome without a
/// name.
fn taken_right_after_paying(context: &mut Stage) -> Result<()> {
    let resident = context.resident("zhang-guiying")?;
    context.sign_in_by_card("zhang-guiying")?;
    context.choose_first_bill()?;
    context.at()?.tap("确认付款")?;
    context.at()?.see("请输入社保卡密码")?;
    context.at()?.enter_pin(&resident.card.pin)?;
    // The acquirer answers late, so that the card is removed before the answer arrives.
    context.rig.slow_acquirer(3_000)?;
    context.at()?.tap("确定")?;
    context.at()?.see("正在付款")?;
    context.at()?.take_card()?;
    context.at()?.see("刚才的付款")?;
    context.shot("付款途中拔卡")?;
    context.at()?.see("已付款")?;
    let words = context.at()?.words()?.join(" ");
    context.expect("结果不带姓名", !words.contains('张'), || words.clone());
    context.shot("付款途中拔卡：已付款")?;
    Ok(())
}

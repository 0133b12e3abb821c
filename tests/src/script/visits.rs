//! Visits without a fault, and cards removed in the middle of a visit.

use std::time::Duration;

use anyhow::Result;

use super::Stage;

/// `card-balance`: a card is read; its holder sees the menu and the balance.
pub(super) fn by_card(stage: &mut Stage) -> Result<()> {
    stage.shot("首页")?;
    stage.sign_in_by_card("zhang-guiying")?;
    stage.shot("菜单")?;
    let words = stage.at()?.words()?.join(" ");
    stage.expect("只显示掩码姓名", words.contains("张*英") && !words.contains("张桂英"), || {
        words.clone()
    });
    stage.at()?.tap("医保账户余额")?;
    stage.at()?.see("¥1,286.40")?;
    stage.shot("医保账户余额")?;
    stage.at()?.tap("看完了")?;
    stage.at()?.see("您想办什么")?;
    stage.at()?.take_card()?;
    stage.at()?.see("请选择一种方式开始")?;
    let words = stage.at()?.words()?.join(" ");
    stage.expect("离开后屏幕上什么也不留", !words.contains('张'), || words.clone());
    Ok(())
}

/// `code-insurance-proof`: begins by code at the camera; consent, proof, A4 document; then the menu in large text and
/// in English.
pub(super) fn by_code(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_code("wang-jianguo")?;
    stage.at()?.tap("社保参保证明")?;
    stage.at()?.see("请确认是否授权")?;
    stage.shot("授权")?;
    stage.at()?.tap("同意，继续")?;
    stage.at()?.see("286")?;
    stage.shot("参保信息")?;
    let before = (stage.at()?.sheets()?, stage.at()?.papers()?.len());
    stage.at()?.tap("打印")?;
    stage.at()?.see("请从 A4 出纸口取走")?;
    stage.shot("已打印")?;
    let paper = stage.newest_sheet("参保证明")?;
    let after = (stage.at()?.sheets()?, stage.at()?.papers()?.len());
    stage
        .expect("正好一张 A4，没有凭条", after == (before.0 + 1, before.1), || format!("{after:?}"));
    stage.expect("证明上只有掩码", paper.contains("王*国") && !paper.contains("王建国"), || {
        paper.clone()
    });
    stage.at()?.tap("完成")?;
    stage.at()?.tap("长辈版")?;
    stage.at()?.see("标准版")?;
    stage.shot("长辈版菜单")?;
    stage.at()?.tap("English")?;
    stage.at()?.see("What would you like to do")?;
    stage.shot("English, large text")?;
    stage.at()?.tap("Leave")?;
    stage.at()?.see("请选择一种方式开始")?;
    Ok(())
}

/// `card-water-payment`: a water bill paid by card: choose, confirm, wrong PIN, right PIN, paid, receipt.
pub(super) fn pays_by_card(stage: &mut Stage) -> Result<()> {
    let resident = stage.resident("zhang-guiying")?;
    stage.sign_in_by_card("zhang-guiying")?;
    stage.at()?.tap("水费缴纳")?;
    stage.at()?.see("请选择要缴的水费")?;
    stage.at()?.tap("年")?;
    stage.shot("选择账单")?;
    stage.at()?.tap("下一步")?;
    stage.at()?.see("请核对后付款")?;
    stage.shot("核对")?;
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("请输入社保卡密码")?;
    stage.at()?.enter_pin("000000")?;
    stage.at()?.tap("确定")?;
    stage.at()?.see("密码不对")?;
    stage.shot("密码不对")?;
    stage.at()?.enter_pin(&resident.card.pin)?;
    stage.shot("输入密码")?;
    stage.at()?.tap("确定")?;
    stage.at()?.see("已付款")?;
    stage.at()?.see("请从出纸口取走凭条")?;
    stage.shot("已付款")?;
    let paper = stage.newest_paper("缴费凭条")?;
    stage.expect(
        "凭条写明金额",
        paper.contains(".30") || paper.contains(".60") || paper.contains(".40"),
        || paper.clone(),
    );
    stage.expect("凭条不是补打", !paper.contains("补打"), || paper.clone());
    stage.at()?.tap("完成")?;
    stage.at()?.see("您想办什么")?;
    stage.at()?.tap("取卡离开")?;
    stage.at()?.see("请取卡")?;
    stage.shot("请取卡")?;
    stage.at()?.take_card()?;
    stage.at()?.see("请选择一种方式开始")?;
    Ok(())
}

/// `e-certificate`: an e-certificate is shown and printed masked, with its holder's consent; a resident without one
/// sees a message that says so.
pub(super) fn sees_a_licence(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_card("zhang-guiying")?;
    stage.at()?.tap("老年人优待证")?;
    stage.at()?.see("请确认是否授权")?;
    stage.shot("优待证：授权")?;
    stage.at()?.tap("同意，继续")?;
    stage.at()?.see("重庆市卫生健康委员会")?;
    stage.shot("优待证")?;
    let words = stage.at()?.words()?.join(" ");
    stage.expect(
        "优待证只显示掩码",
        words.contains("张*英") && !words.contains("19480315"),
        || words.clone(),
    );
    stage.at()?.tap("打印")?;
    stage.at()?.see("请从出纸口取走凭条")?;
    let paper = stage.newest_paper("老年人优待证")?;
    stage.expect("纸上只有掩码", paper.contains("张*英") && !paper.contains("张桂英"), || {
        paper.clone()
    });
    stage.at()?.tap("完成")?;
    stage.at()?.see("您想办什么")?;
    stage.at()?.take_card()?;
    stage.at()?.see("请选择一种方式开始")?;
    stage.sign_in_by_code("wang-jianguo")?;
    stage.at()?.tap("老年人优待证")?;
    stage.at()?.see("请确认是否授权")?;
    stage.at()?.tap("同意，继续")?;
    stage.at()?.see("没有查到您的优待证")?;
    stage.shot("没有优待证")?;
    stage.at()?.tap("退出")?;
    stage.at()?.see("请选择一种方式开始")?;
    Ok(())
}

/// `staff-card-status`: a staff card shows the kiosk's device faults; a staff card that the site file does not list
/// shows nothing.
pub(super) fn staff_looks(stage: &mut Stage) -> Result<()> {
    stage.at()?.insert("staff-stranger")?;
    let seen = stage.at()?.see("这不是社会保障卡").map(drop);
    stage.report.expect("没有登记的工作人员卡不受理", seen);
    stage.at()?.take_card()?;
    stage.at()?.see("请选择一种方式开始")?;
    stage.at()?.fault("paper-out", true)?;
    stage.at()?.see_within("凭条纸用完了", Duration::from_secs(20))?;
    stage.at()?.insert("staff")?;
    stage.at()?.see("本机状态")?;
    stage.shot("本机状态：缺纸")?;
    let words = stage.at()?.words()?.join(" ");
    stage.expect("说明缺纸和怎么办", words.contains("缺纸：换一卷"), || words.clone());
    stage.at()?.fault("paper-out", false)?;
    stage.at()?.see("正常")?;
    stage.at()?.tap("取卡离开")?;
    stage.at()?.see("请取卡")?;
    stage.at()?.take_card()?;
    stage.at()?.see("请选择一种方式开始").map(drop)
}

/// `change-card-pin`: the card's PIN is changed, after which the old one is invalid; then it is changed back for the
/// scenarios that follow.
pub(super) fn changes_pin(stage: &mut Stage) -> Result<()> {
    const NEW: &str = "580216";
    let resident = stage.resident("ran-guangming")?;
    stage.sign_in_by_card("ran-guangming")?;
    let own = resident.card.pin.as_str();
    for (old, new, caption) in [(own, NEW, "改成新密码"), (NEW, own, "改回原来的密码")] {
        stage.at()?.tap("修改社保卡密码")?;
        stage.at()?.see("请输入现在的密码")?;
        stage.at()?.enter_pin(old)?;
        stage.at()?.tap("确定")?;
        stage.at()?.see("请设置新密码")?;
        stage.at()?.enter_pin("123456")?;
        stage.at()?.tap("确定")?;
        stage.at()?.see("这个密码容易被猜到")?;
        stage.shot("太容易猜到的密码")?;
        stage.at()?.enter_pin(new)?;
        stage.at()?.tap("确定")?;
        stage.at()?.see("请再输入一次新密码")?;
        stage.at()?.enter_pin(new)?;
        stage.at()?.tap("确定")?;
        let seen = stage.at()?.see("密码已修改").map(drop);
        stage.shot(caption)?;
        stage.report.expect(caption, seen);
        stage.at()?.tap("完成")?;
        stage.at()?.see("您想办什么")?;
    }
    stage.shot("菜单")?;
    stage.at()?.tap("取卡离开")?;
    stage.at()?.take_card()?;
    stage.at()?.see("请选择一种方式开始").map(drop)
}

/// Goes from the menu to one view.
type Go = fn(&Stage) -> Result<()>;

/// `card-removed-at-every-view`: the card is removed at every view of a visit; the visit ends at once each time.
pub(super) fn card_taken_everywhere(stage: &mut Stage) -> Result<()> {
    let to: [(&str, Go); 9] = [
        ("菜单", |_| Ok(())),
        ("授权", |stage| {
            stage.at()?.tap("社保参保证明")?;
            stage.at()?.see("请确认是否授权").map(drop)
        }),
        ("参保信息", proof),
        ("凭条", |stage| {
            proof(stage)?;
            stage.at()?.tap("打印")?;
            stage.at()?.see("已打印").map(drop)
        }),
        ("余额", |stage| {
            stage.at()?.tap("医保账户余额")?;
            stage.at()?.see("¥").map(drop)
        }),
        ("账单", |stage| {
            stage.at()?.tap("水费缴纳")?;
            stage.at()?.see("请选择要缴的水费").map(drop)
        }),
        ("核对", Stage::choose_first_bill),
        ("密码", |stage| {
            stage.choose_first_bill()?;
            stage.at()?.tap("确认付款")?;
            stage.at()?.see("请输入社保卡密码")?;
            stage.at()?.enter_pin("12")
        }),
        ("密码不对", |stage| {
            stage.choose_first_bill()?;
            stage.at()?.tap("确认付款")?;
            stage.at()?.see("请输入社保卡密码")?;
            stage.at()?.enter_pin("000000")?;
            stage.at()?.tap("确定")?;
            stage.at()?.see("密码不对").map(drop)
        }),
    ];
    for (name, go) in to {
        stage.sign_in_by_card("ouyang-xuemei")?;
        go(stage)?;
        stage.at()?.take_card()?;
        let welcome = stage.at()?.see("请选择一种方式开始").map(drop);
        stage.report.expect(&format!("在“{name}”拔卡，立刻回到首页"), welcome);
    }
    taken_right_after_paying(stage)
}

/// Goes from the menu to the content of the insurance proof.
fn proof(stage: &Stage) -> Result<()> {
    stage.at()?.tap("社保参保证明")?;
    stage.at()?.see("请确认是否授权")?;
    stage.at()?.tap("同意，继续")?;
    stage.at()?.button("打印").map(drop)
}

/// The card is removed after the order was recorded: the payment continues, and a notice shows its outcome without a
/// name.
fn taken_right_after_paying(stage: &mut Stage) -> Result<()> {
    let resident = stage.resident("zhang-guiying")?;
    stage.sign_in_by_card("zhang-guiying")?;
    stage.choose_first_bill()?;
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("请输入社保卡密码")?;
    stage.at()?.enter_pin(&resident.card.pin)?;
    // The acquirer answers late, so that the card is removed before the answer arrives.
    stage.rig.slow_acquirer(3_000)?;
    stage.at()?.tap("确定")?;
    stage.at()?.see("正在付款")?;
    stage.at()?.take_card()?;
    stage.at()?.see("刚才的付款")?;
    stage.shot("付款途中拔卡")?;
    stage.at()?.see("已付款")?;
    let words = stage.at()?.words()?.join(" ");
    stage.expect("结果不带姓名", !words.contains('张'), || words.clone());
    stage.shot("付款途中拔卡：已付款")?;
    Ok(())
}

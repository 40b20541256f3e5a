using System.Net;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Tests.Egress;

public sealed class AddressTableTests
{
    [Theory]
    [InlineData("0.0.0.0", "Unspecified")]
    [InlineData("0.1.2.3", "Unspecified")]
    [InlineData("10.0.0.0", "Private")]
    [InlineData("10.255.255.255", "Private")]
    [InlineData("100.64.0.1", "CarrierGradeNat")]
    [InlineData("100.127.255.255", "CarrierGradeNat")]
    [InlineData("127.0.0.1", "Loopback")]
    [InlineData("127.255.255.254", "Loopback")]
    [InlineData("169.254.169.254", "LinkLocal")]
    [InlineData("172.16.0.1", "Private")]
    [InlineData("172.31.255.255", "Private")]
    [InlineData("192.0.0.1", "Protocol")]
    [InlineData("192.0.2.1", "Documentation")]
    [InlineData("192.88.99.1", "Tunnel")]
    [InlineData("192.168.1.1", "Private")]
    [InlineData("198.18.0.1", "Benchmark")]
    [InlineData("198.19.255.255", "Benchmark")]
    [InlineData("198.51.100.7", "Documentation")]
    [InlineData("203.0.113.9", "Documentation")]
    [InlineData("224.0.0.1", "Multicast")]
    [InlineData("239.255.255.255", "Multicast")]
    [InlineData("240.0.0.1", "Reserved")]
    [InlineData("255.255.255.255", "Reserved")]
    [InlineData("::", "Unspecified")]
    [InlineData("::1", "Loopback")]
    [InlineData("::2", "Reserved")]
    [InlineData("::127.0.0.1", "Reserved")]
    [InlineData("::ffff:127.0.0.1", "Loopback")]
    [InlineData("::ffff:a00:1", "Private")]
    [InlineData("::ffff:8.8.8.8", "Public")]
    [InlineData("64:ff9b::7f00:1", "Translation")]
    [InlineData("64:ff9b::808:808", "Translation")]
    [InlineData("64:ff9b:1::1", "Translation")]
    [InlineData("100::1", "Reserved")]
    [InlineData("2001::1", "Tunnel")]
    [InlineData("2001:2::1", "Benchmark")]
    [InlineData("2001:20::1", "Protocol")]
    [InlineData("2001:db8::1", "Documentation")]
    [InlineData("2002:7f00:1::", "Tunnel")]
    [InlineData("3fff::1", "Documentation")]
    [InlineData("fc00::1", "Private")]
    [InlineData("fd00:ec2::254", "Private")]
    [InlineData("fe80::1", "LinkLocal")]
    [InlineData("fe80::1%1", "LinkLocal")]
    [InlineData("fec0::1", "Private")]
    [InlineData("ff02::1", "Multicast")]
    [InlineData("5f00::1", "Reserved")]
    [InlineData("1.1.1.1", "Public")]
    [InlineData("9.255.255.255", "Public")]
    [InlineData("11.0.0.0", "Public")]
    [InlineData("100.63.255.255", "Public")]
    [InlineData("100.128.0.0", "Public")]
    [InlineData("172.15.255.255", "Public")]
    [InlineData("172.32.0.0", "Public")]
    [InlineData("192.0.1.1", "Public")]
    [InlineData("198.17.255.255", "Public")]
    [InlineData("198.20.0.0", "Public")]
    [InlineData("223.255.255.255", "Public")]
    [InlineData("2606:4700::1111", "Public")]
    [InlineData("2a00:1450::1", "Public")]
    public void Every_address_has_its_class(string address, string expected)
        => Assert.Equal(expected, AddressTable.Classify(IPAddress.Parse(address)).ToString());

    [Fact]
    public void Only_public_addresses_are_allowed_by_default()
    {
        var options = new EgressOptions();

        Assert.Equal([AddressClass.Public], Enum.GetValues<AddressClass>().Where(options.Allows));
    }

    [Fact]
    public void Allowing_loopback_allows_nothing_else()
    {
        var options = new EgressOptions { AllowLoopback = true };

        Assert.Equal([AddressClass.Public, AddressClass.Loopback], Enum.GetValues<AddressClass>().Where(options.Allows));
    }
}
